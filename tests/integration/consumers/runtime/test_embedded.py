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
from pipeline.domain.events.decoding import decode
from pipeline.store.journal.state import CLOCK
from pipeline.store.schema.asks import asks
from pipeline.store.schema.evidence import alerts, pairs
from pipeline.store.schema.journal import dead_letters, journal, state
from pipeline.store.schema.orders import orders
from pipeline.store.unit_of_work import UnitOfWork
from tests.support.builders import MONDAY, answered, asked, at, cloud, completed, contact, scanned
from tests.support.running.embedded import VAULT, embedded, incoming, take
from tests.support.dump import dump
from tests.support.metrics import value
from tests.support.stored import HISTORIC, rows

ATTEMPTS = 7  # as `runner.retrying` says


def fulfilled(n: int) -> list[bytes]:
    """A historic order with an answer that denies what is claimed."""
    order_id, time = f"SO-{n}", at(days=n)
    return [
        completed(order_id, time, account={"id": f"A-{n}"}, **HISTORIC),
        scanned(order_id, time),
        asked(order_id, at(days=n, hours=1), account_id=f"A-{n}"),
        answered(order_id, at(days=n, hours=2), arrival="late"),
    ]


EVENTS = [raw for n in range(5) for raw in fulfilled(n)]


class Bug(Exception):
    """Something nobody thought of."""


def trouble() -> OperationalError:
    return OperationalError("COMMIT", None, Exception("the server closed the connection unexpectedly"))


@contextmanager
def failing(engine: Engine, name: str, times: int, matching: str = "", after: int = 0) -> Iterator[list[str]]:
    """The first `times` events of that name on the engine fail, those without `matching` and the first `after` aside.
    What failed is in the list."""
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
            raise trouble()

    sqlalchemy_event.listen(engine, name, _fail)
    yield failed
    sqlalchemy_event.remove(engine, name, _fail)


@contextmanager
def losing_answers(engine: Engine, times: int) -> Iterator[list[str]]:
    """The first commits go through, and nobody hears of it."""
    lost: list[str] = []
    dialect = engine.dialect
    commit = dialect.do_commit

    def _commit(dbapi_connection: Any) -> None:
        commit(dbapi_connection)
        if len(lost) < times:
            lost.append("COMMIT")
            raise trouble()

    dialect.do_commit = _commit  # type: ignore[method-assign]
    yield lost
    dialect.do_commit = commit  # type: ignore[method-assign]


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Retries come at once; the seconds each would have waited."""
    waited: list[float] = []
    original = retry_policy.retrying

    def _retrying() -> Any:
        found = original()
        found.sleep = waited.append
        return found

    monkeypatch.setattr(runner, "retrying", _retrying)
    return waited


@pytest.fixture
def quietly(tmp_path: Path, _migrated_sqlite_file: Path) -> Iterator[Callable[[list[bytes]], EmbeddedRunner]]:
    """A run with nothing in its way. SQLite will do: both databases hold the same."""
    started: list[EmbeddedRunner] = []

    def _quietly(raws: list[bytes]) -> EmbeddedRunner:
        file = tmp_path / f"quiet{len(started)}.db"
        copyfile(_migrated_sqlite_file, file)
        started.append(embedded(f"sqlite:///{file}"))
        take(started[-1], *raws)
        return started[-1]

    yield _quietly
    for runtime in started:
        runtime.engine.dispose()


@pytest.fixture
def undisturbed(quietly: Callable[[list[bytes]], EmbeddedRunner]) -> list[str]:
    """What a quiet run of all events leaves behind."""
    return dump(quietly(EVENTS).engine)


def retries() -> float:
    return value(metrics.RETRIES)


@pytest.mark.parametrize("matching", ["INSERT INTO journal", "INSERT INTO pairs", "UPDATE", "SELECT", "rollups"])
def test_a_transient_failure_leaves_no_trace(
    unhurried: list[float], start: Callable[..., EmbeddedRunner], undisturbed: list[str], matching: str
) -> None:
    runtime, before = start(), retries()
    with failing(runtime.engine, "before_cursor_execute", 3, matching) as failed:
        take(runtime, *EVENTS)
    assert len(failed) == 3
    assert dump(runtime.engine) == undisturbed
    assert retries() - before == 3
    assert len(unhurried) == 3
    assert unhurried == sorted(unhurried), "each wait is longer"
    assert unhurried[0] > 0


def test_a_failed_commit_is_retried(
    unhurried: list[float], start: Callable[..., EmbeddedRunner], undisturbed: list[str]
) -> None:
    runtime = start()
    with failing(runtime.engine, "commit", 2) as failed:
        take(runtime, *EVENTS)
    assert len(failed) == 2
    assert dump(runtime.engine) == undisturbed


@pytest.mark.parametrize("stage", ["before_cursor_execute", "commit"])
def test_a_persistent_failure_is_raised_and_nothing_of_the_batch_is_stored(
    unhurried: list[float], start: Callable[..., EmbeddedRunner], undisturbed: list[str], stage: str
) -> None:
    runtime = start(batch=8)
    take(runtime, *EVENTS[:8])
    store(runtime, EVENTS[8:])
    before = dump(runtime.engine)
    matching = "INSERT INTO pairs" if stage == "before_cursor_execute" else ""
    with failing(runtime.engine, stage, 1000, matching) as failed, pytest.raises(OperationalError):
        runtime.process_pending()
    assert len(failed) == ATTEMPTS
    assert dump(runtime.engine) == before
    assert start(batch=100).process_pending() == len(EVENTS) - 8  # it was passing after all
    assert dump(runtime.engine) == undisturbed


def store(runtime: EmbeddedRunner, raws: list[bytes]) -> None:
    """Into the journal, and no further."""
    ingest_unprocessed(runtime.store, [incoming(raw) for raw in raws])


def test_a_failed_tick_is_retried(unhurried: list[float], start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start()
    take(runtime, completed(), scanned(time=at(hours=2)))
    with failing(runtime.engine, "commit", 2) as failed:
        runtime.tick(at(days=30))
    assert len(failed) == 2
    assert [row["value"] for row in rows(runtime, state) if row["name"] == CLOCK] == [at(days=30).isoformat()]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_commit_whose_acknowledgement_is_lost_has_no_second_effect(
    unhurried: list[float], start: Callable[..., EmbeddedRunner], undisturbed: list[str], times: int
) -> None:
    runtime = start()
    with losing_answers(runtime.engine, times) as lost:
        take(runtime, *EVENTS)
    assert len(lost) == times
    assert dump(runtime.engine) == undisturbed
    assert len([row for row in rows(runtime, journal) if not row["outgoing"]]) == len(EVENTS)


def test_the_rest_is_processed_after_a_lost_acknowledgement(
    unhurried: list[float], start: Callable[..., EmbeddedRunner], undisturbed: list[str]
) -> None:
    runtime = start(batch=4)
    store(runtime, EVENTS)
    with losing_answers(runtime.engine, 2):
        runtime.process_pending()
    assert runtime.process_pending() == 0, "one drain came to the end"
    assert dump(runtime.engine) == undisturbed


def broken_for(monkeypatch: pytest.MonkeyPatch, kind: str, order_id: str, error: Exception) -> Callable[[], None]:
    """That type's processor does its work and then fails, for one order. Returns what mends it."""
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
    unhurried: list[float],
    start: Callable[..., EmbeddedRunner],
    undisturbed: list[str],
    kind: str,
) -> None:
    runtime = start(batch=8)
    take(runtime, *EVENTS[:8])
    store(runtime, EVENTS[8:])
    before = dump(runtime.engine)
    mend = broken_for(monkeypatch, kind, "SO-2", Bug("division by zero, say"))
    for _ in range(2):  # and whoever starts it again without mending it gets no further
        with pytest.raises(Bug, match="division by zero"):
            start(batch=8).process_pending()
        assert dump(runtime.engine) == before
    assert unhurried == [], "a bug does not pass by waiting"
    mend()
    assert start(batch=8).process_pending() == len(EVENTS) - 8
    assert dump(runtime.engine) == undisturbed
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
    quietly: Callable[[list[bytes]], EmbeddedRunner],
    batch: int,
    kind: str,
) -> None:
    runtime, dead = start(batch=batch), value(metrics.DEAD)
    broken_for(monkeypatch, kind, "SO-2", BadEvent("has no business here", "data.order_id"))
    take(runtime, *EVENTS)
    (letter,) = rows(runtime, dead_letters)
    refused = "SO-2:delivered::040900" if kind == "delivery.updated" else "SO-2:answered:ana:041100"
    (stored,) = [row for row in rows(runtime, journal) if row["id"] == refused]
    assert (letter["field"], letter["reason"]) == ("data.order_id", "has no business here")
    assert letter["position"] == f"journal:{stored['seq']}"
    assert letter["received_at"] == stored["received_at"]
    assert VAULT.open_bytes(letter["raw"]).decode() == stored["payload"]
    assert value(metrics.DEAD) - dead == 1

    monkeypatch.undo()
    never_there = quietly([raw for raw in EVENTS if f'"{refused}"'.encode() not in raw])
    assert besides_the_event(runtime) == besides_the_event(never_there)
    assert len(rows(runtime, journal)) == len(rows(never_there, journal)) + 1, "kept there, and nothing told of it"


def besides_the_event(runtime: EmbeddedRunner, *leave_out: str) -> list[str]:
    return dump(runtime.engine, leave_out={"dead_letters", "journal", *leave_out})


def test_several_refused_events_of_one_batch_all_become_dead_letters(
    monkeypatch: pytest.MonkeyPatch, runtime: EmbeddedRunner, quietly: Callable[[list[bytes]], EmbeddedRunner]
) -> None:
    processors = dict(routing.PROCESSORS)

    def _refuse(event: Event, _work: UnitOfWork, _now: Any) -> None:
        raise BadEvent("nobody wants answers today", "type")

    processors["feedback.received"] = _refuse
    monkeypatch.setattr(runner, "PROCESSORS", processors)
    take(runtime, *EVENTS)
    assert len(rows(runtime, dead_letters)) == 5
    monkeypatch.undo()
    unanswered = quietly([raw for raw in EVENTS if b"feedback.received" not in raw])
    # The clock goes on with what is set aside or not: only the events that count move it.
    assert besides_the_event(runtime) == besides_the_event(unanswered)


def test_a_stored_event_that_a_newer_contract_forbids_becomes_a_dead_letter(
    monkeypatch: pytest.MonkeyPatch, runtime: EmbeddedRunner, quietly: Callable[[list[bytes]], EmbeddedRunner]
) -> None:
    """It was stored when it was still good."""

    def _narrower(raw: bytes, *rest: Any) -> Event:
        event = decode(raw, *rest)
        if event.id == "SO-1:completed":
            raise BadEvent("must be given", "data.lines")
        return event

    store(runtime, EVENTS)
    monkeypatch.setattr(runner, "decode", _narrower)
    runtime.process_pending()
    (letter,) = rows(runtime, dead_letters)
    assert letter["field"] == "data.lines"
    monkeypatch.undo()
    never_there = quietly([raw for raw in EVENTS if raw != EVENTS[4]])
    # The person was taken in at the door, when the event was still good.
    assert besides_the_event(runtime, "people") == besides_the_event(never_there, "people")


def test_events_stored_earlier_are_processed_first(
    start: Callable[..., EmbeddedRunner], undisturbed: list[str]
) -> None:
    """A process died between the two."""
    store(start(), EVENTS[:9])
    take(start(), *EVENTS)
    assert dump(start().engine) == undisturbed


def test_positions_in_the_journal_have_no_gaps(runtime: EmbeddedRunner) -> None:
    for n in range(5):
        take(runtime, completed(f"SO-{n}"), completed("SO-0"), scanned(f"SO-{n}", time=at(hours=2)))
    assert sorted(row["seq"] for row in rows(runtime, journal)) == list(range(1, len(rows(runtime, journal)) + 1))


def test_a_contact_named_twice_is_asked_once(runtime: EmbeddedRunner) -> None:
    """One person in two roles."""
    take(runtime, completed(contacts=[contact(role="gatekeeper"), contact(role="user")]), scanned(time=at(hours=2)))
    assert [(ask["contact_id"], ask["reason"]) for ask in rows(runtime, asks)] == [("ana", None)]


def test_another_system_may_ask_a_contact_whom_we_do_not_ask(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start(policy=Policy(sample_rate=0.0))
    take(runtime, completed(), scanned(time=at(hours=2)), asked("SO-1", at(hours=3)))
    (ask,) = rows(runtime, asks)
    assert (ask["reason"], ask["state"]) == ("sampled_out", "not_asked"), "our decision stands as it was taken"
    take(runtime, answered(time=at(hours=4), arrival="late"))
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
    """Evidence that nobody gave would otherwise count, and an impossible one would stop everything."""
    take(runtime, raw, *EVENTS[:4])
    (letter,) = rows(runtime, dead_letters)
    assert field in (None, letter["field"])
    assert {pair["order_id"] for pair in rows(runtime, pairs)} == {"SO-0"}


def test_long_segment_names_fit(start: Callable[..., EmbeddedRunner]) -> None:
    """Every dimension as long as the contract allows, joined to a level, with an alert named after it."""
    runtime = start(levels="depot+carrier:1")
    far = {"depot": "D" * 200, "carrier": "C" * 200}
    for n in range(6):
        order = completed(f"SO-{n}", at(days=n), account={"id": f"A-{n}"}, dimensions=far, **HISTORIC)
        take(runtime, order, *fulfilled(n)[1:])
    (alert,) = rows(runtime, alerts)
    assert alert["value"] == f"{far['depot']}+{far['carrier']}"


def test_an_opt_out_that_precedes_its_order_prevents_the_question(runtime: EmbeddedRunner) -> None:
    """Messages travel on another way than orders, and the no must not get lost between them."""
    take(runtime, answered("SO-1", at(), opt_out=True))
    take(runtime, completed("SO-1", at(hours=1)), scanned("SO-1", at(hours=2)))
    take(runtime, completed("SO-2", at(days=30)), scanned("SO-2", at(days=30)))
    assert [ask["reason"] for ask in rows(runtime, asks)] == ["opted_out", "opted_out"]
