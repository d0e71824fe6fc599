"""The failures of a batch: transient ones, a lost acknowledgement, a bug, an event that cannot be processed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.exc import OperationalError

from pipeline import metrics
from pipeline.consumers import routing
from pipeline.consumers.intake import ingest_unprocessed
from pipeline.consumers.runtime import embedded as runner
from pipeline.consumers.runtime import retries as retry_policy
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.policy import Policy
from pipeline.domain.events.contract import BadEvent, Event
from pipeline.domain.events.decoding import decode_stored
from pipeline.store.journal.state import CLOCK
from pipeline.store.schema.asks import asks
from pipeline.store.schema.evidence import alerts, pairs
from pipeline.store.schema.journal import dead_letters, journal, state
from pipeline.store.schema.orders import orders
from pipeline.store.unit_of_work import UnitOfWork
from tests.support.builders import MONDAY, answered, asked, at, cloud, completed, contact, scanned
from tests.support.dump import dump
from tests.support.metrics import value
from tests.support.running.embedded import VAULT, embedded, incoming, ingest
from tests.support.stored import HISTORIC, rows

ATTEMPTS = 7  # as configured in `runner.retrying`


def fulfilled(n: int) -> list[bytes]:
    """The events of a historic order whose answer contradicts the claim."""
    order_id, time = f"SO-{n}", at(days=n)
    return [
        completed(order_id, time, account={"id": f"A-{n}"}, **HISTORIC),
        scanned(order_id, time),
        asked(order_id, at(days=n, hours=1), account_id=f"A-{n}"),
        answered(order_id, at(days=n, hours=2), arrival="late"),
    ]


EVENTS = [raw for n in range(5) for raw in fulfilled(n)]


class Bug(Exception):
    """An unexpected error."""


def connection_error() -> OperationalError:
    return OperationalError("COMMIT", None, Exception("the server closed the connection unexpectedly"))


@contextmanager
def failing(engine: Engine, name: str, times: int, matching: str = "", after: int = 0) -> Iterator[list[str]]:
    """Make `times` events of that name fail: those whose statement contains `matching`, after the first `after` ones.
    Yields the list of failed statements."""
    failed: list[str] = []
    seen = 0

    def _fail(*args: Any) -> None:
        nonlocal seen
        statement = args[2] if name == "before_cursor_execute" else "COMMIT"
        if matching not in statement:
            return
        seen += 1
        if after < seen <= after + times:
            failed.append(statement)
            raise connection_error()

    sqlalchemy_event.listen(engine, name, _fail)
    yield failed
    sqlalchemy_event.remove(engine, name, _fail)


@contextmanager
def losing_answers(engine: Engine, times: int) -> Iterator[list[str]]:
    """The first `times` commits succeed, but their acknowledgements are lost."""
    lost: list[str] = []
    dialect = engine.dialect
    commit = dialect.do_commit

    def _commit(dbapi_connection: Any) -> None:
        commit(dbapi_connection)
        if len(lost) < times:
            lost.append("COMMIT")
            raise connection_error()

    dialect.do_commit = _commit  # type: ignore[method-assign]
    yield lost
    dialect.do_commit = commit  # type: ignore[method-assign]


@pytest.fixture
def immediate_retries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make retries immediate. Returns the seconds that each would have waited."""
    waited: list[float] = []
    original = retry_policy.retrying

    def _retrying() -> Any:
        found = original()
        found.sleep = waited.append
        return found

    monkeypatch.setattr(runner, "retrying", _retrying)
    return waited


@pytest.fixture
def reference_run(tmp_path: Path, _migrated_sqlite_file: Path) -> Iterator[Callable[[list[bytes]], EmbeddedRunner]]:
    """A run without failures, on SQLite: both databases have the same contents."""
    started: list[EmbeddedRunner] = []

    def _reference_run(raws: list[bytes]) -> EmbeddedRunner:
        file = tmp_path / f"reference{len(started)}.db"
        copyfile(_migrated_sqlite_file, file)
        started.append(embedded(f"sqlite:///{file}"))
        ingest(started[-1], *raws)
        return started[-1]

    yield _reference_run
    for runtime in started:
        runtime.engine.dispose()


@pytest.fixture
def expected_dump(reference_run: Callable[[list[bytes]], EmbeddedRunner]) -> list[str]:
    """The contents of the database after a run without failures."""
    return dump(reference_run(EVENTS).engine)


def retries() -> float:
    return value(metrics.RETRIES)


@pytest.mark.parametrize("matching", ["INSERT INTO journal", "INSERT INTO pairs", "UPDATE", "SELECT", "rollups"])
def test_a_transient_failure_leaves_no_trace(
    immediate_retries: list[float], start: Callable[..., EmbeddedRunner], expected_dump: list[str], matching: str
) -> None:
    runtime, before = start(), retries()
    with failing(runtime.engine, "before_cursor_execute", 3, matching) as failed:
        ingest(runtime, *EVENTS)
    assert len(failed) == 3
    assert dump(runtime.engine) == expected_dump
    assert retries() - before == 3
    assert len(immediate_retries) == 3
    assert immediate_retries == sorted(immediate_retries), "each wait is longer"
    assert immediate_retries[0] > 0


def test_a_failed_commit_is_retried(
    immediate_retries: list[float], start: Callable[..., EmbeddedRunner], expected_dump: list[str]
) -> None:
    runtime = start()
    with failing(runtime.engine, "commit", 2) as failed:
        ingest(runtime, *EVENTS)
    assert len(failed) == 2
    assert dump(runtime.engine) == expected_dump


@pytest.mark.parametrize("stage", ["before_cursor_execute", "commit"])
def test_a_persistent_failure_is_raised_and_nothing_of_the_batch_is_stored(
    immediate_retries: list[float], start: Callable[..., EmbeddedRunner], expected_dump: list[str], stage: str
) -> None:
    runtime = start(batch=8)
    ingest(runtime, *EVENTS[:8])
    store(runtime, EVENTS[8:])
    before = dump(runtime.engine)
    matching = "INSERT INTO pairs" if stage == "before_cursor_execute" else ""
    with failing(runtime.engine, stage, 1000, matching) as failed, pytest.raises(OperationalError):
        runtime.process_pending()
    assert len(failed) == ATTEMPTS
    assert dump(runtime.engine) == before
    assert start(batch=100).process_pending() == len(EVENTS) - 8  # the failure was transient after all
    assert dump(runtime.engine) == expected_dump


def store(runtime: EmbeddedRunner, raws: list[bytes]) -> None:
    """Store these events in the journal without processing them."""
    ingest_unprocessed(runtime.store, [incoming(raw) for raw in raws])


def test_a_failed_tick_is_retried(immediate_retries: list[float], start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start()
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    with failing(runtime.engine, "commit", 2) as failed:
        runtime.tick(at(days=30))
    assert len(failed) == 2
    assert [row["value"] for row in rows(runtime, state) if row["name"] == CLOCK] == [at(days=30).isoformat()]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_commit_whose_acknowledgement_is_lost_has_no_second_effect(
    immediate_retries: list[float], start: Callable[..., EmbeddedRunner], expected_dump: list[str], times: int
) -> None:
    runtime = start()
    with losing_answers(runtime.engine, times) as lost:
        ingest(runtime, *EVENTS)
    assert len(lost) == times
    assert dump(runtime.engine) == expected_dump
    assert len([row for row in rows(runtime, journal) if not row["outgoing"]]) == len(EVENTS)


def test_the_rest_is_processed_after_a_lost_acknowledgement(
    immediate_retries: list[float], start: Callable[..., EmbeddedRunner], expected_dump: list[str]
) -> None:
    runtime = start(batch=4)
    store(runtime, EVENTS)
    with losing_answers(runtime.engine, 2):
        runtime.process_pending()
    assert runtime.process_pending() == 0, "one call processed everything"
    assert dump(runtime.engine) == expected_dump


def broken_for(monkeypatch: pytest.MonkeyPatch, kind: str, order_id: str, error: Exception) -> Callable[[], None]:
    """The processor of `kind` does its work and then raises, for one order. Returns a function that fixes it."""
    processors = dict(routing.PROCESSORS)
    real = processors[kind]

    def _broken(event: Event, work: UnitOfWork, now: Any) -> None:
        real(event, work, now)
        if event.data.order_id == order_id:
            raise error

    processors[kind] = _broken
    monkeypatch.setattr(runner, "PROCESSORS", processors)
    return lambda: processors.__setitem__(kind, real)


@pytest.mark.parametrize("kind", ["order.completed", "delivery.updated", "feedback.received", "fulfilment.compared"])
def test_a_bug_is_raised_and_after_the_fix_everything_is_processed_once(
    monkeypatch: pytest.MonkeyPatch,
    immediate_retries: list[float],
    start: Callable[..., EmbeddedRunner],
    expected_dump: list[str],
    kind: str,
) -> None:
    runtime = start(batch=8)
    ingest(runtime, *EVENTS[:8])
    store(runtime, EVENTS[8:])
    before = dump(runtime.engine)
    fix = broken_for(monkeypatch, kind, "SO-2", Bug("division by zero, say"))
    for _ in range(2):  # a restart without the fix fails again
        with pytest.raises(Bug, match="division by zero"):
            start(batch=8).process_pending()
        assert dump(runtime.engine) == before
    assert immediate_retries == [], "a bug is not retried"
    fix()
    assert start(batch=8).process_pending() == len(EVENTS) - 8
    assert dump(runtime.engine) == expected_dump
    assert runtime.process_pending() == 0


def test_a_bug_does_not_undo_earlier_batches(
    monkeypatch: pytest.MonkeyPatch, start: Callable[..., EmbeddedRunner]
) -> None:
    runtime = start(batch=4)
    store(runtime, EVENTS)
    broken_for(monkeypatch, "feedback.received", "SO-3", Bug())
    with pytest.raises(Bug):
        runtime.process_pending()
    assert {row["order_id"] for row in rows(runtime, orders)} == {"SO-0", "SO-1", "SO-2"}


@pytest.mark.parametrize("batch", [1, 4, 100])
@pytest.mark.parametrize("kind", ["delivery.updated", "feedback.received", "fulfilment.compared"])
def test_an_event_refused_by_its_processor_leaves_only_a_dead_letter(
    monkeypatch: pytest.MonkeyPatch,
    start: Callable[..., EmbeddedRunner],
    reference_run: Callable[[list[bytes]], EmbeddedRunner],
    batch: int,
    kind: str,
) -> None:
    runtime, dead = start(batch=batch), value(metrics.DEAD)
    broken_for(monkeypatch, kind, "SO-2", BadEvent("has no business here", "data.order_id"))
    ingest(runtime, *EVENTS)
    (row,) = rows(runtime, dead_letters)
    refused = "SO-2:delivered::040900" if kind == "delivery.updated" else "SO-2:answered:ana:041100"
    (stored,) = [row for row in rows(runtime, journal) if row["id"] == refused]
    assert (row["field"], row["reason"]) == ("data.order_id", "has no business here")
    assert row["position"] == f"journal:{stored['seq']}"
    assert row["received_at"] == stored["received_at"]
    assert VAULT.open_bytes(row["raw"]).decode() == stored["payload"]
    assert value(metrics.DEAD) - dead == 1

    monkeypatch.undo()
    never_there = reference_run([raw for raw in EVENTS if f'"{refused}"'.encode() not in raw])
    assert besides_the_event(runtime) == besides_the_event(never_there)
    assert len(rows(runtime, journal)) == len(rows(never_there, journal)) + 1, (
        "it stays in the journal and has no other effect"
    )


def besides_the_event(runtime: EmbeddedRunner, *leave_out: str) -> list[str]:
    return dump(runtime.engine, leave_out={"dead_letters", "journal", *leave_out})


def test_several_refused_events_of_one_batch_all_become_dead_letters(
    monkeypatch: pytest.MonkeyPatch, runtime: EmbeddedRunner, reference_run: Callable[[list[bytes]], EmbeddedRunner]
) -> None:
    processors = dict(routing.PROCESSORS)

    def _refuse(event: Event, _work: UnitOfWork, _now: Any) -> None:
        raise BadEvent("no answers today", "type")

    processors["feedback.received"] = _refuse
    monkeypatch.setattr(runner, "PROCESSORS", processors)
    ingest(runtime, *EVENTS)
    assert len(rows(runtime, dead_letters)) == 5
    monkeypatch.undo()
    unanswered = reference_run([raw for raw in EVENTS if b"feedback.received" not in raw])
    # Refused events do not advance the clock.
    assert besides_the_event(runtime) == besides_the_event(unanswered)


def test_a_stored_event_that_a_newer_contract_forbids_becomes_a_dead_letter(
    monkeypatch: pytest.MonkeyPatch, runtime: EmbeddedRunner, reference_run: Callable[[list[bytes]], EmbeddedRunner]
) -> None:
    """It was stored when it was still valid."""

    def _narrower(raw: bytes, *rest: Any) -> Event:
        event = decode_stored(raw, *rest)
        if event.id == "SO-1:completed":
            raise BadEvent("must be given", "data.lines")
        return event

    store(runtime, EVENTS)
    monkeypatch.setattr(runner, "decode_stored", _narrower)
    runtime.process_pending()
    (row,) = rows(runtime, dead_letters)
    assert row["field"] == "data.lines"
    monkeypatch.undo()
    never_there = reference_run([raw for raw in EVENTS if raw != EVENTS[4]])
    # The intake stored the person when the event was still valid.
    assert besides_the_event(runtime, "people", "person_orders", "answer_words") == besides_the_event(
        never_there, "people", "person_orders", "answer_words"
    )


def test_events_stored_earlier_are_processed_first(
    start: Callable[..., EmbeddedRunner], expected_dump: list[str]
) -> None:
    """A process died between storing and processing."""
    store(start(), EVENTS[:9])
    ingest(start(), *EVENTS)
    assert dump(start().engine) == expected_dump


def test_positions_in_the_journal_have_no_gaps(runtime: EmbeddedRunner) -> None:
    for n in range(5):
        ingest(runtime, completed(f"SO-{n}"), completed("SO-0"), scanned(f"SO-{n}", time=at(hours=2)))
    assert sorted(row["seq"] for row in rows(runtime, journal)) == list(range(1, len(rows(runtime, journal)) + 1))


def test_a_contact_named_twice_is_asked_once(runtime: EmbeddedRunner) -> None:
    """One person in two roles."""
    ingest(runtime, completed(contacts=[contact(role="gatekeeper"), contact(role="user")]), scanned(time=at(hours=2)))
    assert [(ask["contact_id"], ask["reason"]) for ask in rows(runtime, asks)] == [("ana", None)]


def test_another_system_may_ask_a_contact_whom_we_do_not_ask(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start(policy=Policy(sample_rate=0.0))
    ingest(runtime, completed(), scanned(time=at(hours=2)), asked("SO-1", at(hours=3)))
    (ask,) = rows(runtime, asks)
    assert (ask["reason"], ask["state"]) == ("sampled_out", "not_asked"), "our decision does not change"
    ingest(runtime, answered(time=at(hours=4), arrival="late"))
    assert rows(runtime, asks)[0]["state"] == "answered"
    assert len(rows(runtime, pairs)) == 2


OURS = {
    "order_id": "SO-1",
    "account_id": "A-1",
    "dimensions": {"depot": "Lyon"},
    "claim": {},
    "experience": {},
    "verdict": "embellished",
    "observations": {"on_time": {"x": 1.0, "day": MONDAY.toordinal()}},
}
ALERT = {
    "alert_id": "on_time/depot/Lyon/1",
    "signal": "on_time",
    "dimension": "depot",
    "value": "Lyon",
    "kind": "divergence",
    "state": "resolved",
    "severity": "major",
    "evidence": {},
}


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (cloud("fulfilment.compared", "forged", MONDAY, OURS), "type"),
        (
            cloud("fulfilment.compared", "absurd", MONDAY, OURS | {"observations": {"on_time": {"x": 7.0, "day": -3}}}),
            None,
        ),
        (cloud("alert.resolved", "forged", MONDAY, ALERT), "type"),
        (completed(_={"source": "unvarnished"}), "source"),
    ],
    ids=["a pair", "a pair out of range", "an alert", "our own name"],
)
def test_conclusions_of_this_installation_are_refused_from_outside(
    runtime: EmbeddedRunner, raw: bytes, field: str | None
) -> None:
    """Otherwise forged evidence would count, and an impossible value would stop all processing."""
    ingest(runtime, raw, *EVENTS[:4])
    (row,) = rows(runtime, dead_letters)
    assert field in (None, row["field"])
    assert {pair["order_id"] for pair in rows(runtime, pairs)} == {"SO-0"}


def test_long_segment_names_fit(start: Callable[..., EmbeddedRunner]) -> None:
    """Every dimension has the maximal length, several are joined to a level, and an alert is named after it."""
    runtime = start(levels="depot+carrier:1")
    far = {"depot": "D" * 200, "carrier": "C" * 200}
    for n in range(6):
        order = completed(f"SO-{n}", at(days=n), account={"id": f"A-{n}"}, dimensions=far, **HISTORIC)
        ingest(runtime, order, *fulfilled(n)[1:])
    (alert,) = rows(runtime, alerts)
    assert alert["value"] == f"{far['depot']}+{far['carrier']}"


def test_an_opt_out_that_precedes_its_order_prevents_the_question(runtime: EmbeddedRunner) -> None:
    """Messages and orders arrive independently: an opt-out must not be lost between them."""
    ingest(runtime, answered("SO-1", at(), opt_out=True))
    ingest(runtime, completed("SO-1", at(hours=1)), scanned("SO-1", at(hours=2)))
    ingest(runtime, completed("SO-2", at(days=30)), scanned("SO-2", at(days=30)))
    assert [ask["reason"] for ask in rows(runtime, asks)] == ["opted_out", "opted_out"]
