"""A source whose clock is wrong silences no customer, wins over no correction and moves no first promise."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from functools import partial
from random import Random

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.asking.policy import Policy
from pipeline.store.db.engine import reading
from pipeline.store.reads.order_record import read_record
from pipeline.store.schema.asks import asks
from pipeline.store.schema.journal import dead_letters
from pipeline.store.schema.orders import claims
from pipeline.store.schema.people import people
from tests.support.builders import MONDAY, at, completed, contact, repromised, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.sending import sending_runner
from tests.support.stored import rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

ALWAYS = Policy(quiet_from=time(0), quiet_until=time(0))  # no quiet hours
LONG_AGO = datetime(1970, 1, 2, tzinfo=UTC)
FAR_AHEAD = datetime(2199, 1, 1, tzinfo=UTC)


@pytest.fixture
def sending(database_url: str) -> Iterator[EmbeddedRunner]:
    runtime = sending_runner(database_url, ALWAYS)
    yield runtime
    runtime.engine.dispose()


# --- events that claim to be later than their receipt ------------------------------------------------------------


@pytest.mark.parametrize("ahead", [timedelta(minutes=10, seconds=1), timedelta(hours=1), timedelta(days=45_000)])
def test_an_event_further_ahead_than_ten_minutes_is_a_dead_letter_that_names_its_time(
    runtime: EmbeddedRunner, ahead: timedelta
) -> None:
    for raw in (
        completed(time=MONDAY + ahead),
        scanned(time=MONDAY + ahead, at=MONDAY),
        repromised("SO-1", MONDAY + ahead, at(hours=9)),
    ):
        ingest(runtime, raw, received_at=MONDAY)
    found = rows(runtime, dead_letters)
    assert [letter["field"] for letter in found] == ["time"] * 3
    assert "ahead of the time of receipt" in found[0]["reason"]
    assert "UNVARNISHED_MAX_EVENT_AHEAD_MINUTES" in found[0]["reason"]
    assert rows(runtime, asks) == []


def test_an_event_up_to_ten_minutes_ahead_counts_as_said_when_it_was_received(sending: EmbeddedRunner) -> None:
    wrong = contact(phone="+447700900555")
    ingest(sending, completed(time=at(hours=1 / 6), contacts=[wrong]), received_at=MONDAY)
    ingest(sending, completed(time=at(hours=0.1), event_id="correction"), received_at=at(hours=0.1))
    (person,) = rows(sending, people)
    assert person["phone_digest"] == VAULT.phone_digest("+447700900123")
    ingest(sending, scanned(time=at(hours=1)), received_at=at(hours=1))
    (ask,) = rows(sending, asks)
    assert ask["address"] == VAULT.phone_digest("+447700900123")


def test_history_is_received_when_it_happened_whenever_that_is(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(time=FAR_AHEAD), scanned(time=FAR_AHEAD))
    assert rows(runtime, dead_letters) == []
    assert [claim["delivered_at"] for claim in rows(runtime, claims)] == [FAR_AHEAD]


# --- deliveries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stated", [at(hours=3), at(days=1), FAR_AHEAD])
def test_a_delivery_dated_ahead_is_asked_about_at_its_receipt_and_marked(
    sending: EmbeddedRunner, stated: datetime
) -> None:
    ingest(sending, completed(), received_at=MONDAY)
    ingest(sending, scanned(time=at(hours=2), at=stated), received_at=at(hours=2))
    (ask,) = rows(sending, asks)
    assert (ask["state"], ask["due_at"]) == ("due", at(hours=2))
    with reading(sending.engine) as connection:
        record = read_record(connection, LOCAL, "SO-1")
    assert record is not None
    (scan,) = record.order.facts.scans
    assert (scan.at, scan.stated_at) == (at(hours=2), stated)
    assert record.order.dialogue.claim.delivered_at == at(hours=2)


def test_a_due_question_moves_when_its_delivery_is_corrected(database_url: str) -> None:
    policy = Policy(quiet_from=time(0), quiet_until=time(0), ask_after=timedelta(hours=4))
    runtime = sending_runner(database_url, policy)
    ingest(runtime, completed(), received_at=MONDAY)
    ingest(runtime, scanned(time=at(hours=2), at=FAR_AHEAD), received_at=at(hours=2))
    assert [ask["due_at"] for ask in rows(runtime, asks)] == [at(hours=6)]
    ingest(runtime, scanned(time=at(hours=3), at=at(hours=1)), received_at=at(hours=3))
    assert [ask["due_at"] for ask in rows(runtime, asks)] == [at(hours=5)]
    ingest(runtime, scanned(time=at(hours=3.5), at=at(hours=2.5)), received_at=at(hours=3.5))
    assert [ask["due_at"] for ask in rows(runtime, asks)] == [at(hours=6.5)]
    assert [ask["wake_at"] for ask in rows(runtime, asks)] == [at(hours=6.5)]
    runtime.engine.dispose()


def test_no_clock_and_no_order_of_arrival_makes_a_customer_unaskable(sending: EmbeddedRunner) -> None:
    """Each order is received within an hour, in any order, with any times; then its customer is asked at once."""
    for seed in range(12):
        rng = Random(seed)
        name, phone, begun = f"SO-{seed}", f"+4477009001{seed:02}", at(days=seed)
        told: list[Callable[..., bytes]] = [
            partial(_order, name, "1", phone),
            partial(_order, name, "2", phone),
            partial(repromised, name, promised_at=at(days=99), event_id=f"{name}:moved"),
            partial(_scan, name, "1", _any(rng, begun)),
            partial(_scan, name, "2", _any(rng, begun)),
        ]
        rng.shuffle(told)
        for minute, say in enumerate(told):
            received_at = begun + timedelta(minutes=10 * minute)
            allowed = rng.choice([LONG_AGO, received_at - timedelta(days=3), received_at + timedelta(minutes=10)])
            ingest(sending, say(time=allowed), received_at=received_at)
        (ask,) = [ask for ask in rows(sending, asks) if ask["order_id"] == name]
        assert (ask["state"], ask["reason"]) == ("due", None), seed
        assert ask["due_at"] <= begun + timedelta(hours=1), seed


def _order(name: str, number: str, phone: str, time: datetime) -> bytes:
    who = {"account": {"id": f"A of {name}"}, "contacts": [contact(f"c of {name}", phone=phone)]}
    return completed(name, time, f"{name}:{number}", promised_at=at(days=99), **who)


def _scan(name: str, number: str, dated: datetime, time: datetime) -> bytes:
    return scanned(name, time, event_id=f"{name}:scan{number}", at=dated)


def _any(rng: Random, begun: datetime) -> datetime:
    return rng.choice([LONG_AGO, begun - timedelta(days=2), begun, begun + timedelta(hours=5), FAR_AHEAD])


def test_after_a_delivery_dated_ahead_the_customer_rests_no_longer_than_after_any_other(
    sending: EmbeddedRunner,
) -> None:
    ingest(sending, completed("SO-1", at(hours=1 / 6)), received_at=MONDAY)
    ingest(sending, scanned("SO-1", at(hours=1 / 6), at=FAR_AHEAD), received_at=MONDAY)
    later = MONDAY + ALWAYS.contact_rest
    ingest(sending, completed("SO-2", later), scanned("SO-2", later), received_at=later)
    assert {ask["order_id"]: ask["reason"] for ask in rows(sending, asks)} == {"SO-1": None, "SO-2": None}


# --- promises --------------------------------------------------------------------------------------------------------


def test_the_first_promise_stays_whatever_the_time_of_a_later_one(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(promised_at=at(hours=3)), received_at=MONDAY)
    ingest(runtime, repromised("SO-1", LONG_AGO, at(hours=90)), received_at=at(hours=4))
    ingest(runtime, scanned(time=at(hours=80)), received_at=at(hours=80))
    (claim,) = rows(runtime, claims)
    assert (claim["on_time_first"], claim["on_time_latest"]) == (False, True)
    with reading(runtime.engine) as connection:
        record = read_record(connection, LOCAL, "SO-1")
    assert record is not None
    assert record.order.facts.moved_at == at(hours=4), "after the first promise had passed, whatever its source says"


def test_promises_of_one_request_rank_by_their_place_in_the_journal(runtime: EmbeddedRunner) -> None:
    moves = [repromised("SO-1", at(hours=-n), at(hours=20 + n), f"move {n}") for n in range(4)]
    ingest(runtime, completed(promised_at=at(hours=3)), *moves, received_at=at(hours=1))
    with reading(runtime.engine) as connection:
        record = read_record(connection, LOCAL, "SO-1")
    assert record is not None
    promises = record.order.facts.promises
    assert [promise.by_when for promise in promises] == [at(hours=hours) for hours in (3, 20, 21, 22, 23)]


def test_a_backdated_revision_in_the_request_of_its_order_moves_no_first_promise(runtime: EmbeddedRunner) -> None:
    revision = completed(time=LONG_AGO, event_id="revised", promised_at=at(hours=20))
    ingest(runtime, completed(promised_at=at(hours=3)), revision, received_at=at(hours=1))
    ingest(runtime, scanned(time=at(hours=10)), received_at=at(hours=10))
    (claim,) = rows(runtime, claims)
    assert (claim["on_time_first"], claim["on_time_latest"]) == (False, True)


def test_an_order_names_its_first_promise(runtime: EmbeddedRunner) -> None:
    ingest(runtime, repromised("SO-1", at(hours=-9), at(hours=40)), received_at=at(hours=-9))
    order = completed(first_promised_at=at(hours=3), promised_at=at(hours=50))
    ingest(runtime, order, received_at=MONDAY)
    ingest(runtime, scanned(time=at(hours=45)), received_at=at(hours=45))
    (claim,) = rows(runtime, claims)
    assert (claim["on_time_first"], claim["on_time_latest"]) == (False, True)
