"""An installation that is killed at any time and restarted has the same final state as without kills."""

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from shutil import copyfile

import pytest
from sqlalchemy import Engine, event, select

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.store.db.engine import connect, reading
from pipeline.store.schema.asks import asks
from pipeline.store.schema.evidence import alerts
from pipeline.store.schema.journal import journal
from tests.reliability import worker
from tests.support.dump import dump
from tests.support.running.embedded import embedded
from tests.support.streams import AFTER_ALL, LEVELS, ingest_stream, stream

pytestmark = pytest.mark.reliability

KILLS = 3
# The number of statements after which a process is killed, of some thousands.
EARLIEST, LATEST = 40, 700


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, _migrated_sqlite_file: Path) -> list[str]:
    """The final state of the simulated days without kills."""
    file = tmp_path_factory.mktemp("expected") / "unvarnished.db"
    copyfile(_migrated_sqlite_file, file)
    engine = worker.play(f"sqlite:///{file}")
    try:
        with reading(engine) as connection:
            assert len(connection.execute(select(asks)).all()) > 300, "the stream leads to questions"
        return dump(engine)
    finally:
        engine.dispose()


def test_three_kills_at_any_moment_change_nothing(database_url: str, expected: list[str]) -> None:
    rng = Random(database_url.partition(":")[0])
    positions = []
    for _ in range(KILLS):
        process = start_worker(database_url)
        killed = kill_after(process, rng.randint(EARLIEST, LATEST))
        assert killed == -signal.SIGKILL, "it ended before it was killed"
        positions.append(events_stored(database_url))
    assert 0 < positions[0] <= positions[1] <= positions[2], "each start continued where the previous one was killed"
    assert start_worker(database_url).communicate()[0]
    engine = connect(database_url)
    assert dump(engine) == expected
    engine.dispose()


def start_worker(url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.reliability.worker", url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def kill_after(process: subprocess.Popen[str], statements: int) -> int:
    """Kill it once it has printed this number of statements. Returns its exit code."""
    assert process.stdout is not None
    with closing(process.stdout):
        for _ in range(statements):
            process.stdout.readline()
        process.kill()
    return process.wait()


def events_stored(url: str) -> int:
    engine = connect(url)
    with reading(engine) as connection:
        found = len(connection.execute(select(journal.c.seq)).all())
    engine.dispose()
    return found


# --- at every commit ----------------------------------------------------------------------------------------

COMMITS = range(1, 7)
DIED = 9
EVENTS = stream(2, historic=False)


@pytest.fixture
def expected_dump(tmp_path: Path, _migrated_sqlite_file: Path) -> Iterator[list[str]]:
    file = tmp_path / "expected.db"
    copyfile(_migrated_sqlite_file, file)
    runtime = embedded(f"sqlite:///{file}", levels=LEVELS)
    ingest_stream(runtime, EVENTS)
    with reading(runtime.engine) as connection:
        assert connection.execute(select(alerts)).all(), "evidence would differ if a pair counted twice"
    yield dump(runtime.engine)
    runtime.engine.dispose()


@pytest.mark.parametrize("number", COMMITS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_at_a_commit_loses_nothing_and_repeats_nothing(
    database_url: str, expected_dump: list[str], moment: str, number: int
) -> None:
    def _die() -> None:
        runtime = small(database_url)
        (die_before_commit if moment == "before" else die_after_commit)(runtime.engine, number)
        ingest_stream(runtime, EVENTS)

    assert in_child(_die) == DIED
    runtime = small(database_url)
    ingest_stream(runtime, EVENTS, until=None)
    runtime.process_pending()
    runtime.tick(AFTER_ALL)
    assert dump(runtime.engine) == expected_dump
    runtime.engine.dispose()


def small(url: str) -> EmbeddedRunner:
    """A runner with small batches, so that there are several commits."""
    return embedded(url, levels=LEVELS, batch=10)


def die_before_commit(engine: Engine, number: int) -> None:
    seen = 0

    def _commit(_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os._exit(DIED)

    event.listen(engine, "commit", _commit)


def die_after_commit(engine: Engine, number: int) -> None:
    """Die after the commit, before its acknowledgement."""
    seen = 0
    commit = engine.dialect.do_commit

    def _commit(connection: object) -> None:
        nonlocal seen
        commit(connection)  # type: ignore[arg-type]
        seen += 1
        if seen == number:
            os._exit(DIED)

    engine.dialect.do_commit = _commit  # type: ignore[method-assign,assignment]


def in_child(work: Callable[[], None]) -> int:
    """Run in a child process. Returns its exit code, 0 if it did not die."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(70)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
