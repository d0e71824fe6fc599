"""A worker that is paused beyond its lease and resumed: the new owner looks up the message and never sends it."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.sending.dispatcher import LEASE, Dispatcher
from pipeline.domain.asking.ask_states import LOOK_AFTER
from tests.support.builders import at
from tests.support.limits import PATIENCE
from tests.support.provider import Provider
from tests.support.running.sending import dispatcher, sending_runner, states, twilio
from tests.support.running.sending_process import begin

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(), reason="without /proc a stopped process cannot be detected"
    ),
]
DELIVERED = at(hours=2)


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with Provider(tmp_path / "posts", now=lambda: DELIVERED) as running:
        yield running


@pytest.fixture
def runtime(database_url: str) -> Iterator[EmbeddedRunner]:
    made = sending_runner(database_url)
    yield made
    made.engine.dispose()


@pytest.fixture
def other(runtime: EmbeddedRunner, provider: Provider) -> Iterator[Dispatcher]:
    """Another worker's dispatcher on the same database."""
    made = dispatcher(runtime.store, twilio(provider.url))
    yield made
    made.stop()


@contextmanager
def stopped(url: str, provider: Provider, failpoint: str, lease: timedelta) -> Iterator[ForkServerProcess]:
    """A worker in a separate process that is stopped at a failpoint."""
    worker = begin(url, provider.url, f"stop:{failpoint}", 1, 1, [DELIVERED], DELIVERED, lease)
    assert worker.pid is not None
    try:
        over = time.monotonic() + PATIENCE
        while state(worker.pid) != "T":
            assert time.monotonic() < over, "it was not stopped"
            time.sleep(0.01)
        yield worker
    finally:
        worker.kill()
        worker.join()
        worker.close()


def state(pid: int) -> str:
    """The state of a process; T: stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wake(worker: ForkServerProcess) -> int | None:
    """Resume it and wait for its end. Returns its exit code."""
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGCONT)
    worker.join(PATIENCE)
    return worker.exitcode


def test_a_message_of_a_paused_worker_is_sent_once_whichever_worker_has_the_lease(
    database_url: str, runtime: EmbeddedRunner, provider: Provider, other: Dispatcher
) -> None:
    with stopped(database_url, provider, "before_post", LEASE) as worker:
        assert states(runtime.engine) == ["sending"]
        other.run_once(DELIVERED + LEASE)
        assert (states(runtime.engine), provider.posts, provider.listings) == (["unknown"], [], 1)
        assert wake(worker) == 0
    assert len(provider.posts) == 1
    assert states(runtime.engine) == ["sent"], "its result counts without its lease"
    finish(runtime, other)
    assert (states(runtime.engine), len(provider.posts)) == (["expired"], 1)


def test_a_worker_that_was_paused_for_too_long_sends_nothing(
    database_url: str, runtime: EmbeddedRunner, provider: Provider, other: Dispatcher
) -> None:
    lease = timedelta(seconds=0.2)
    with stopped(database_url, provider, "after_claim_commit", lease) as worker:
        since = time.monotonic()
        while not other.run_once(DELIVERED + timedelta(seconds=time.monotonic() - since)):
            pass  # the lease is still valid
        assert (states(runtime.engine), provider.listings) == (["unknown"], 1)
        assert wake(worker) == 0
    assert states(runtime.engine) == ["unknown"], "not due again: the other worker looks it up now"
    finish(runtime, other)
    assert (states(runtime.engine), provider.posts) == (["unresolved"], [])


def finish(runtime: EmbeddedRunner, other: Dispatcher) -> None:
    """Run all later lookups, and let the time for an answer expire."""
    runtime.process_pending()
    for after in LOOK_AFTER:
        other.run_once(DELIVERED + after + timedelta(seconds=2))
    runtime.process_pending()
    runtime.tick(at(days=30))
