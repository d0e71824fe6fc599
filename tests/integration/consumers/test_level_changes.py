"""Levels that are added and removed later: evidence and figures as if they had been there from the start."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Table, select

from pipeline.consumers import level_changes
from pipeline.consumers.level_changes import LevelError
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.detection.segments import Level
from pipeline.store.db.engine import reading
from pipeline.store.evidence import level_changes as stored_changes
from pipeline.store.journal.state import clock_of
from pipeline.store.reads import reports
from pipeline.store.schema.evidence import alerts, evidence, pairs, segment_days
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.examples import examples
from tests.support.invariants import violated_invariants
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import embedded, ingest
from tests.support.stored import HISTORIC, rows
from tests.support.streams import arrivals, stream

everywhere = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
Start = Callable[..., EmbeddedRunner]
PEOPLE = [contact(name) for name in ("ana", "ben", "cleo")]


def unseen(done: int, total: int) -> None:
    """Nobody watches the progress."""


def add(runtime: EmbeddedRunner, name: str, capacity: int) -> int | None:
    return level_changes.add(runtime.store, runtime.setup, Level(name, capacity), at(), unseen)


def remove(runtime: EmbeddedRunner, name: str) -> int | None:
    return level_changes.remove(runtime.store, runtime.setup, name, at(), unseen)


def pair(n: int, day: float, late: bool = True, answers: Sequence[str] = ("ana",), **dimensions: str) -> list[bytes]:
    """The events of a historic order that is answered; further people answer a day later."""
    order_id, time = f"SO-{n}", at(days=day)
    data: dict[str, Any] = {
        "account": {"id": f"A-{n}"},
        "contacts": PEOPLE,
        "dimensions": {"depot": "Lyon", "product": "gloves"} | dimensions,
    }
    raws = [
        completed(order_id, time, **data, **HISTORIC),
        scanned(order_id, time + timedelta(hours=1)),
        *(asked(order_id, time + timedelta(hours=2), who, account_id=f"A-{n}") for who in answers),
    ]
    for number, who in enumerate(answers):
        arrival = "late" if late == (number == 0) else "on_time"
        raws.append(answered(order_id, time + timedelta(hours=3, days=number), who, arrival=arrival))
    return raws


def days_of(runtime: EmbeddedRunner, first: int, lates: str, **dimensions: str) -> None:
    """A pair a day: `x` contradicts the claim, `.` agrees."""
    for n, mark in enumerate(lates, first):
        ingest(runtime, *pair(n, n, mark == "x", **dimensions))


def of_level(runtime: EmbeddedRunner, name: str) -> dict[str, Any]:
    """Pairs and evidence of a level (without alerts and what follows from them), and its figures."""
    states = {}
    for row in rows(runtime, evidence):
        if row["dimension"] == name:
            state = msgspec.json.decode(row["state"])
            states[row["value"], row["signal"], state["pairs"]] = state["detector"]
    with reading(runtime.engine) as connection:
        figures = reports.by_segment(connection, LOCAL, name)
    counted = [tuple(row.values()) for row in rows(runtime, pairs) if row["dimension"] == name]
    sums = [tuple(row.values()) for row in rows(runtime, segment_days) if row["dimension"] == name]
    return {"pairs": sorted(counted), "states": states, "figures": figures, "sums": sorted(sums)}


def of_product(runtime: EmbeddedRunner) -> list[dict[str, Any]]:
    return [alert for alert in rows(runtime, alerts) if alert["dimension"] == "product"]


def of_depot(runtime: EmbeddedRunner, table: Table) -> list[dict[str, Any]]:
    return [row for row in rows(runtime, table) if row["dimension"] == "depot"]


def intact(runtime: EmbeddedRunner) -> None:
    assert violated_invariants(runtime.engine, runtime.setup) == []


# --- as from the start --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], EmbeddedRunner]:
    """Opens a new embedded installation with these levels, on SQLite."""
    migrated: Path = request.getfixturevalue("_migrated_sqlite_file")

    def _fresh(levels: str) -> EmbeddedRunner:
        file = tmp_path_factory.mktemp("levels") / "unvarnished.db"
        shutil.copyfile(migrated, file)
        return embedded(f"sqlite:///{file}", levels=levels)

    return _fresh


@pytest.fixture
def other(fresh: Callable[[str], EmbeddedRunner]) -> Iterator[EmbeddedRunner]:
    """A second installation, which has the level from the start."""
    runtime = fresh("depot:2,product:3")
    yield runtime
    runtime.engine.dispose()


@everywhere
def test_a_level_added_later_has_the_pairs_evidence_and_figures_of_one_from_the_start(
    start: Start, other: EmbeddedRunner
) -> None:
    runtime = start(levels="depot:2")
    for one in (runtime, other):
        ingest(one, *pair(0, 0, answers=("ana", "ben", "cleo"), product="boots"))
        days_of(one, 3, "xx.x", product="gloves")
        ingest(one, *[raw for n in range(10, 14) for raw in pair(n, 8, product="boots")])
    add(runtime, "product", 3)
    assert of_level(runtime, "product") == of_level(other, "product")
    assert of_level(other, "product")["pairs"], "the comparison compares something"
    for one in (runtime, other):
        ingest(one, *pair(20, 9, answers=("ana", "ben"), product="boots"))
        days_of(one, 21, "x.x", product="gloves")
        ingest(one, answered("SO-3", at(days=30), "ben", arrival="on_time"))  # amends a pair from before
    assert of_level(runtime, "product") == of_level(other, "product")
    intact(runtime)


few = hypothesis_settings(max_examples=examples(2), phases=(Phase.generate,))


@few
@given(seed=st.integers(0, 2**32), share=st.floats(0, 1))
def test_a_level_added_in_the_middle_of_any_stream_equals_one_from_the_start(
    fresh: Callable[[str], EmbeddedRunner], seed: int, share: float
) -> None:
    events = list(arrivals(stream(seed, orders=12)))
    found = []
    for levels in ("depot:20", "depot:20,carrier:10"):
        runtime = fresh(levels)
        middle = int(share * len(events))
        for _ in runtime.ingest_all(events[:middle]):
            pass
        if levels == "depot:20":
            add(runtime, "carrier", 10)
        for _ in runtime.ingest_all(events[middle:]):
            pass
        intact(runtime)
        found.append(of_level(runtime, "carrier"))
        runtime.engine.dispose()
    assert found[0] == found[1]


# --- alerts -------------------------------------------------------------------------------------------------


@everywhere
def test_a_level_added_later_alerts_once_on_the_day_from_which_it_is_judged(start: Start) -> None:
    runtime = start(levels="depot:2")
    days_of(runtime, 0, "x" * 9)
    day = add(runtime, "product", 3)
    assert day is not None
    assert day == at(days=9).toordinal(), "the day after the newest event"
    assert of_product(runtime) == []
    runtime.tick(datetime.combine(date.fromordinal(day), datetime.min.time(), UTC) - timedelta(seconds=1))
    assert of_product(runtime) == []
    runtime.tick(at(days=12))
    [alert] = of_product(runtime)
    assert (alert["kind"], alert["state"]) == ("divergence", "open")
    assert alert["opened_at"] == datetime.combine(date.fromordinal(day), datetime.min.time(), UTC)
    proof = msgspec.json.decode(alert["evidence"])
    assert (proof["pairs_before"], proof["run_n"], proof["since"]) == (9, 9, at().date().isoformat())
    runtime.tick(at(days=13))
    days_of(runtime, 13, "xx")
    ingest(runtime, answered("SO-3", at(days=20), "ben", arrival="on_time"))  # repeats the fold from before that day
    assert [alert["alert_id"] for alert in of_product(runtime)] == ["on_time/product/gloves/1"]
    intact(runtime)


@everywhere
def test_a_pair_that_comes_before_the_timer_is_judged_after_the_evidence_so_far(start: Start) -> None:
    runtime = start(levels="depot:2")
    days_of(runtime, 0, "x" * 9)
    add(runtime, "product", 3)
    days_of(runtime, 9, "." * 4)
    [alert] = of_product(runtime)
    assert msgspec.json.decode(alert["evidence"])["pairs_before"] == 9
    intact(runtime)


def test_every_threshold_changes_on_that_day_and_nothing_is_judged_again(start: Start) -> None:
    runtime = start(levels="depot:2")
    days_of(runtime, 0, "x" * 9)
    before, states = [of_depot(runtime, table) for table in (alerts, evidence)]
    day = add(runtime, "product", 3)
    assert day is not None
    limits = runtime.setup.with_changes(changes(runtime)).thresholds
    assert [limits["depot"].on(one) for one in (day - 1, day)] == [730.0, 1460.0]
    assert [limits["product"].on(one) for one in (day - 1, day)] == [float("inf"), 2190.0]
    ingest(runtime, answered("SO-0", at(days=9), "ben", arrival="late"))
    assert [of_depot(runtime, table) for table in (alerts, evidence)] == [before, states]


def changes(runtime: EmbeddedRunner) -> Any:
    with reading(runtime.engine) as connection:
        return stored_changes.read(connection)


# --- interrupted and running --------------------------------------------------------------------------------


@everywhere
def test_events_go_on_while_a_level_is_added_and_an_interruption_continues(
    start: Start, other: EmbeddedRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(level_changes, "ORDERS_AT_ONCE", 2)
    monkeypatch.setattr(level_changes, "PAIRS_AT_ONCE", 2)
    runtime = start(levels="depot:2")
    for one in (runtime, other):
        days_of(one, 0, "x.xx.xx")
    reached: list[tuple[int, int]] = []

    class Killed(BaseException):
        pass

    def interrupt_in(steps: int) -> Callable[[int, int], None]:
        def _show(done: int, total: int) -> None:
            reached.append((done, total))
            if len(reached) % steps == 0:
                raise Killed

        return _show

    n = 10
    for _ in range(40):
        try:
            level_changes.add(runtime.store, runtime.setup, Level("product", 3), at(), interrupt_in(2))
            break
        except Killed:
            for one in (runtime, other) if n < 14 else ():
                ingest(one, *pair(n, n, product="boots"))
                ingest(one, answered(f"SO-{n - 10}", at(days=n, hours=9), "cleo", arrival="on_time"))
            n += 1
    assert len(reached) > 6
    assert of_level(runtime, "product") == of_level(other, "product")
    days_of(runtime, 60, "x.", product="boots")
    days_of(other, 60, "x.", product="boots")
    assert of_level(runtime, "product") == of_level(other, "product")
    intact(runtime)


# --- removing, capacities -----------------------------------------------------------------------------------


@everywhere
def test_a_removed_level_is_counted_no_more_and_one_that_returns_is_complete(
    start: Start, other: EmbeddedRunner
) -> None:
    runtime = start(levels="depot:2,product:3")
    for one in (runtime, other):
        days_of(one, 0, "x.x")
    remove(runtime, "product")
    assert of_level(runtime, "product")["figures"] == {}
    for one in (runtime, other):
        days_of(one, 3, "xx.x", product="boots")
        ingest(one, answered("SO-1", at(days=9), "ben", arrival="late"))
    assert of_level(runtime, "product")["figures"] == {}
    assert len(of_level(runtime, "product")["pairs"]) == 3
    intact(runtime)
    add(runtime, "product", 3)
    assert of_level(runtime, "product") == of_level(other, "product")
    intact(runtime)


@everywhere
def test_an_alert_that_ended_while_its_level_was_removed_is_resolved_when_it_returns(start: Start) -> None:
    runtime = start(levels="depot:2,product:3")
    days_of(runtime, 0, "x" * 9)
    assert [alert["state"] for alert in of_product(runtime)] == ["open"]
    remove(runtime, "product")
    days_of(runtime, 9, "." * 70)
    assert [alert["state"] for alert in of_product(runtime)] == ["open"], "removing a level hides no alert"
    add(runtime, "product", 3)
    runtime.tick(at(days=90))
    assert [alert["state"] for alert in of_product(runtime)] == ["resolved"]
    intact(runtime)


def test_a_capacity_changes_from_the_next_day_on_without_counting_again(start: Start) -> None:
    runtime = start(levels="depot:2,carrier:1")
    days_of(runtime, 0, "x.")
    before = of_level(runtime, "depot")
    day = add(runtime, "depot", 200)
    assert day is not None
    limits = runtime.setup.with_changes(changes(runtime)).thresholds
    assert [limits["depot"].on(one) for one in (day - 1, day)] == [1_460.0, 146_000.0]
    assert of_level(runtime, "depot") == before


def test_a_threshold_that_falls_is_applied_to_the_evidence_on_its_day(start: Start) -> None:
    runtime = start(levels="depot:1000000,product:3")
    days_of(runtime, 0, "x" * 6)
    assert [alert for alert in rows(runtime, alerts) if alert["dimension"] == "depot"] == []
    add(runtime, "depot", 1)
    runtime.tick(at(days=8))
    [alert] = [alert for alert in rows(runtime, alerts) if alert["dimension"] == "depot"]
    assert alert["opened_at"].date() == at(days=6).date()
    intact(runtime)


def test_a_change_that_is_not_possible_is_refused_with_a_sentence(start: Start) -> None:
    runtime = start(levels="depot:2")
    assert add(runtime, "depot", 2) is None
    with pytest.raises(LevelError, match="no level 'tier' is watched; the levels are: depot"):
        remove(runtime, "tier")
    with pytest.raises(LevelError, match="'depot' is the only level"):
        remove(runtime, "depot")
    assert changes(runtime) == ()


def test_before_any_event_a_change_is_as_if_the_first_start_had_made_it(start: Start) -> None:
    runtime = start(levels="depot:2")
    assert add(runtime, "product", 3) == 0
    history = runtime.setup.with_changes(changes(runtime)).history
    assert (history.since("product"), [level.name for level in history.watched]) == (None, ["depot", "product"])
    days_of(runtime, 0, "x" * 9)
    assert [alert["value"] for alert in of_product(runtime)] == ["gloves"]
    with reading(runtime.engine) as connection:
        assert clock_of(connection) > at()
        assert connection.execute(select(pairs).where(pairs.c.dimension == "product")).first() is not None
