"""Killed at any moment and started again, an installation ends where it would have ended."""

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
from tests.support.running.embedded import embedded
from tests.support.dump import dump
from tests.support.streams import AFTER_ALL, LEVELS, stream, take_all

pytestmark = pytest.mark.reliability

KILLS = 3
# Statements after which a process is killed: it does some thousands of them.
EARLIEST, LATEST = 40, 700


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, _migrated_sqlite_file: Path) -> list[str]:
    """What the company's days leave behind in a process that nobody touches."""
    file = tmp_path_factory.mktemp("undisturbed") / "unvarnished.db"
    copyfile(_migrated_sqlite_file, file)
    engine = worker.play(f"sqlite:///{file}")
    try:
        with reading(engine) as connection:
            assert len(connection.execute(select(asks)).all()) > 300, "a stream in which something happens"
        return dump(engine)
    finally:
        engine.dispose()


def test_three_kills_at_any_moment_change_nothing(database_url: str, undisturbed: list[str]) -> None:
    rng = Random(database_url.partition(":")[0])
    places = []
    for _ in range(KILLS):
        process = start_worker(database_url)
        killed = kill_after(process, rng.randint(EARLIEST, LATEST))
        assert killed == -signal.SIGKILL, "it came to its end before it could be killed"
        places.append(events_stored(database_url))
    assert 0 < places[0] <= places[1] <= places[2], "each start went on where the one before was killed"
    assert start_worker(database_url).communicate()[0]
    engine = connect(database_url)
    assert dump(engine) == undisturbed
    engine.dispose()


def start_worker(url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.reliability.worker", url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def kill_after(process: subprocess.Popen[str], statements: int) -> int:
    """Kill it when it has told of so many statements. Returns how it ended."""
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
def quiet(tmp_path: Path, _migrated_sqlite_file: Path) -> Iterator[list[str]]:
    file = tmp_path / "quiet.db"
    copyfile(_migrated_sqlite_file, file)
    runtime = embedded(f"sqlite:///{file}", levels=LEVELS)
    take_all(runtime, EVENTS)
    with reading(runtime.engine) as connection:
        assert connection.execute(select(alerts)).all(), "evidence that would show a pair counted twice"
    yield dump(runtime.engine)
    runtime.engine.dispose()


@pytest.mark.parametrize("number", COMMITS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_dying_at_a_commit_loses_nothing_and_repeats_nothing(
    database_url: str, quiet: list[str], moment: str, number: int
) -> None:
    def _die() -> None:
        runtime = small(database_url)
        (die_before_commit if moment == "before" else die_after_commit)(runtime.engine, number)
        take_all(runtime, EVENTS)

    assert in_child(_die) == DIED
    runtime = small(database_url)
    take_all(runtime, EVENTS, until=None)
    runtime.process_pending()
    runtime.tick(AFTER_ALL)
    assert dump(runtime.engine) == quiet
    runtime.engine.dispose()


def small(url: str) -> EmbeddedRunner:
    """With batches so small that there are commits to die at."""
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
    """The commit is done, and nobody learns of it."""
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
    """Do this in a process of its own. Returns its exit code, 0 if it came to the end."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(70)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
