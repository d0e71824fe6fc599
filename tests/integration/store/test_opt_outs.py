"""STOP and START: the newest by the provider's time decides, in whatever order they become known."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from pipeline.store.db.engine import connect
from pipeline.store.people.opt_outs import OptChange, correct_times, opted_out, record
from pipeline.store.schema.people import opt_changes, opt_outs
from tests.support.builders import at
from tests.support.examples import examples

PHONE, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = connect(database_url)
    yield made
    made.dispose()


def change(word: str, seconds: float, event_id: str = "", digest: str = PHONE, source: str = "text") -> OptChange:
    moment = at() + timedelta(seconds=seconds)
    return OptChange(digest, source, event_id or f"{word}{seconds}", word == "STOP", moment)


def stopped(connection: Connection) -> bool:
    return bool(opted_out(connection, [PHONE]))


class ReportedText(NamedTuple):
    """A STOP or START, the times at which a webhook and the provider's list date it, and whether it is listed first."""

    stops: bool
    received: int  # milliseconds
    true: int
    by_list_first: bool
    corrected: bool


texts = st.builds(
    ReportedText, st.booleans(), st.integers(0, 4_000), st.integers(0, 4_000), st.booleans(), st.booleans()
)


def moment(milliseconds: int) -> datetime:
    return at() + timedelta(milliseconds=milliseconds)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(50))
@given(reported=st.lists(texts, min_size=1, max_size=6), data=st.data())
def test_a_stop_is_never_undone_by_anything_but_a_later_start(
    engine: Engine, reported: list[ReportedText], data: st.DataObject
) -> None:
    """Any order of arrival, repetitions, and times corrected by the list of the provider at any moment."""
    steps = [("report", n) for n in range(len(reported))]
    steps += [("report", n) for n in data.draw(st.lists(st.integers(0, len(reported) - 1), max_size=3))]
    steps += [("correct", n) for n, one in enumerate(reported) if one.corrected]
    order = data.draw(st.permutations(steps))
    known: dict[int, int] = {}
    with engine.begin() as connection:
        connection.execute(opt_changes.delete())
        connection.execute(opt_outs.delete())
        for step, n in order:
            one = reported[n]
            first = one.true if one.by_list_first else one.received
            if step == "report":
                record(connection, [OptChange(PHONE, "text", str(n), one.stops, moment(first))])
                known.setdefault(n, first)
            else:
                correct_times(connection, "text", {str(n): moment(one.true)})
                known.update({n: one.true} if n in known else {})
            stops = [time // 1_000 for i, time in known.items() if reported[i].stops]
            starts = [time // 1_000 for i, time in known.items() if not reported[i].stops]
            expected = bool(stops) and max(stops) >= max(starts, default=-1)
            assert stopped(connection) is expected


def test_an_older_start_that_is_found_later_undoes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        record(connection, [change("STOP", 60)])
        record(connection, [change("START", 10)])
        assert stopped(connection)
        record(connection, [change("START", 61)])
        assert not stopped(connection)
        record(connection, [change("STOP", 30)])
        assert not stopped(connection), "nor does an older STOP hold against a newer START"


def test_within_one_second_a_stop_counts(engine: Engine) -> None:
    with engine.begin() as connection:
        record(connection, [change("STOP", 10.1), change("START", 10.9)])
        assert stopped(connection)
        record(connection, [change("START", 11)])
        assert not stopped(connection)


def test_a_repeated_stop_moves_it(engine: Engine) -> None:
    with engine.begin() as connection:
        record(connection, [change("STOP", 10)])
        record(connection, [change("STOP", 50)])
        record(connection, [change("START", 30)])
        assert stopped(connection)
        (row,) = connection.execute(opt_outs.select())
        assert row.at == at() + timedelta(seconds=50)


def test_the_same_text_again_changes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        record(connection, [change("STOP", 10, "SM1")])
        record(connection, [change("START", 20, "SM2")])
        record(connection, [change("STOP", 30, "SM1")])
        assert not stopped(connection)


def test_an_opt_out_that_an_earlier_version_stored_holds_until_a_later_start(engine: Engine) -> None:
    with engine.begin() as connection:
        record(connection, [change("STOP", 5), change("START", 10)])
        connection.execute(opt_outs.insert().values(digest=PHONE, at=at() + timedelta(seconds=15), source="old"))
        record(connection, [change("START", 12)])
        assert stopped(connection)
        record(connection, [change("START", 20)])
        assert not stopped(connection)


def test_addresses_do_not_touch_each_other(engine: Engine) -> None:
    with engine.begin() as connection:
        record(connection, [change("STOP", 10), change("START", 20, digest=OTHER)])
        assert opted_out(connection, [PHONE, OTHER]) == {PHONE}


def test_two_processes_that_record_at_once_do_not_overlook_each_other(engine: Engine) -> None:
    """Whoever is second sees the change of the first, so the newest decides in either order."""
    from concurrent.futures import ThreadPoolExecutor

    def _record(one: OptChange) -> None:
        with engine.begin() as connection:
            record(connection, [one])

    for n in range(10):
        changes = [change("START", 100 * n + 20), change("STOP", 100 * n + 10)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(_record, changes))
        with engine.begin() as connection:
            assert not stopped(connection), n
