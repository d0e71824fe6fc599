"""Everything that a question depends on is checked once more in the transaction that commits to send it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.sending.dispatcher import Dispatcher
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.asking.policy import Policy
from pipeline.store.db.engine import reading
from pipeline.store.reads import reports
from tests.support.builders import answered, at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.provider import Provider
from tests.support.running.embedded import ingest
from tests.support.running.sending import dispatcher, sending_runner, states, stored, twilio

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

DELIVERED = at(hours=2)
POLICY = Policy(ask_after=timedelta(minutes=30))


@pytest.fixture
def runtime(database_url: str) -> Iterator[EmbeddedRunner]:
    made = sending_runner(database_url, POLICY)
    yield made
    made.engine.dispose()


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with Provider(tmp_path / "posts", now=lambda: DELIVERED) as running:
        yield running


@pytest.fixture
def sender(runtime: EmbeddedRunner, provider: Provider) -> Iterator[Dispatcher]:
    made = dispatcher(runtime.store, twilio(provider.url), POLICY)
    yield made
    made.stop()


def figures(runtime: EmbeddedRunner) -> dict[str, int]:
    with reading(runtime.engine) as connection:
        return reports.total(connection, LOCAL)


def second_parcel(moment: datetime) -> bytes:
    return completed(time=moment, event_id="two", shipments=2, promised_at=None)


TAKEN_BACK: dict[str, tuple[Callable[[datetime], bytes], Callable[[datetime], bytes]]] = {
    "returned": (lambda moment: scanned(time=moment, status="returned"), lambda moment: scanned(time=moment)),
    "a second parcel": (second_parcel, lambda moment: scanned(time=moment, shipment_id="b")),
    "a second parcel by mistake": (
        second_parcel,
        lambda moment: completed(time=moment, event_id="one", shipments=1, promised_at=None),
    ),
}
EITHER = pytest.mark.parametrize(("take_back", "deliver"), TAKEN_BACK.values(), ids=TAKEN_BACK.keys())
Event = Callable[[datetime], bytes]


def first_parcel(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=DELIVERED, shipment_id="a"), received_at=DELIVERED)


@EITHER
def test_no_question_about_a_delivery_that_was_taken_back(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher, take_back: Event, deliver: Event
) -> None:
    first_parcel(runtime)
    ingest(runtime, take_back(at(hours=2.1)))
    for hours in (2.5, 3, 24, 49):
        sender.run_once(at(hours=hours))
    assert (provider.posts, states(runtime.engine)) == ([], ["due"])
    assert figures(runtime)["pending"] == 1
    sender.run_once(at(hours=50))
    assert [(row["state"], row["outcome"]) for row in stored(runtime.engine)] == [("not_asked", "taken_back")]
    runtime.tick(at(hours=50))
    assert figures(runtime)["not_asked:delivery_taken_back"] == 1


@EITHER
def test_the_question_goes_when_it_is_delivered_after_all(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher, take_back: Event, deliver: Event
) -> None:
    first_parcel(runtime)
    ingest(runtime, take_back(at(hours=2.1)))
    sender.run_once(at(hours=2.5))
    ingest(runtime, deliver(at(hours=4)))
    sender.run_once(at(hours=4.5))
    assert (len(provider.posts), states(runtime.engine)) == (1, ["sent"])
    runtime.process_pending()
    ingest(runtime, answered(time=at(hours=5), arrival="late"))
    assert figures(runtime)["answered"] == 1


@EITHER
def test_a_delivery_after_the_question_ended_is_asked_about(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher, take_back: Event, deliver: Event
) -> None:
    """Taking a delivery back and reporting it again must be no way to avoid the question."""
    far = at(days=30)  # nobody asks whether it arrived
    ingest(runtime, completed(promised_at=far), scanned(time=DELIVERED, shipment_id="a"), received_at=DELIVERED)
    ingest(runtime, take_back(at(hours=2.1)))
    for hours in (2.5, 51):
        sender.run_once(at(hours=hours))
    runtime.tick(at(hours=51))
    assert states(runtime.engine)[:1] == ["not_asked"]
    ingest(runtime, deliver(at(days=4)))
    sender.run_once(at(days=4, hours=1))
    assert (len(provider.posts), states(runtime.engine)) == (1, ["sent"])


def test_a_question_that_waits_in_vain_makes_room_for_the_one_whether_it_arrived(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    """Otherwise a scan of one parcel and silence about the other would leave nobody asked."""
    first_parcel(runtime)
    ingest(runtime, second_parcel(at(hours=2.1)))
    runtime.tick(at(hours=27.5))
    found = {row["purpose"]: (row["state"], row["outcome"]) for row in stored(runtime.engine)}
    assert found == {"delivery": ("not_asked", "taken_back"), "missing_scan": ("due", None)}
    sender.run_once(at(hours=28))
    assert len(provider.posts) == 1
    runtime.process_pending()
    ingest(runtime, scanned(time=at(hours=30), shipment_id="b"))
    sender.run_once(at(hours=31))
    assert len(provider.posts) == 1, "once is enough"


def test_a_corrected_delivery_moves_its_question(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    ingest(runtime, completed(), scanned(time=DELIVERED))
    ingest(runtime, scanned(time=at(hours=2.1), at=at(hours=1)))
    assert [row["due_at"] for row in stored(runtime.engine)] == [at(hours=2.1)]
    sender.run_once(at(hours=2.1))
    assert len(provider.posts) == 1


def test_no_reminder_about_a_delivery_that_was_taken_back(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    ingest(runtime, completed(), scanned(time=DELIVERED))
    sender.run_once(at(hours=3))
    runtime.process_pending()
    runtime.tick(at(hours=51.1))
    ingest(runtime, scanned(time=at(hours=51.2), status="returned"))
    for days in range(3, 8):
        sender.run_once(at(days=days))
    assert len(provider.posts) == 1
    assert [row["outcome"] for row in stored(runtime.engine) if row["purpose"] == "reminder"] == ["taken_back"]


def two_orders(runtime: EmbeddedRunner, second_account: str = "A-1") -> None:
    """Two orders whose contacts have a phone each, and the second's is corrected to the first's before it is asked."""
    for order_id, name, account, phone in (("SO-1", "ana", "A-1", "1"), ("SO-2", "ben", second_account, "2")):
        people: list[dict[str, Any]] = [contact(name, phone=f"+44770090011{phone}")]
        ingest(
            runtime,
            completed(order_id, account={"id": account}, contacts=people),
            scanned(order_id, time=DELIVERED),
        )
    people = [contact("ben", phone="+447700900111")]
    corrected = completed("SO-2", at(hours=2.2), "corrected", account={"id": second_account}, contacts=people)
    ingest(runtime, corrected)


@pytest.mark.parametrize(("account", "outcome"), [("A-1", "asked_recently"), ("A-2", "address_asked")])
def test_a_number_that_was_asked_meanwhile_rests(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher, account: str, outcome: str
) -> None:
    two_orders(runtime, account)
    sender.run_once(at(hours=3))
    assert [post["To"] for post in provider.posts] == ["+447700900111"]
    assert sorted((row["state"], row["outcome"]) for row in stored(runtime.engine)) == [
        ("not_asked", outcome),
        ("sent", "accepted"),
    ]
    runtime.process_pending()
    runtime.tick(at(hours=4))
    reason = "asked_recently" if account == "A-1" else "address_asked_recently"
    assert figures(runtime)[f"not_asked:{reason}"] == 1


@pytest.mark.parametrize(("role", "posts"), [("purchaser", 1), ("receiver", 2)])
def test_the_rest_of_a_role_is_that_of_the_moment_of_sending(
    database_url: str, provider: Provider, role: str, posts: int
) -> None:
    """The contact has another number and another role since it was decided to ask about the second order."""
    policy = Policy(contact_rest=timedelta(0), role_rests=(("purchaser", timedelta(days=30)),), ask_after=timedelta(0))
    runtime = sending_runner(database_url, policy)
    sender = dispatcher(runtime.store, twilio(provider.url), policy)
    ingest(runtime, completed("SO-1"), scanned("SO-1", time=DELIVERED))
    sender.run_once(DELIVERED)
    runtime.process_pending()
    for hours, now in ((4, "receiver"), (4.5, role)):
        people = [contact("ana", phone="+447700900199", role=now)]
        order = completed("SO-2", at(hours=hours), f"revision:{hours}", contacts=people)
        ingest(runtime, order, scanned("SO-2", time=at(hours=4)))
    assert [row["reason"] for row in stored(runtime.engine)] == [None, None]
    sender.run_once(at(hours=5))
    assert len(provider.posts) == posts
    outcomes = [row["outcome"] for row in stored(runtime.engine)]
    assert outcomes == ["accepted", "accepted" if posts == 2 else "asked_recently"]
    sender.stop()
    runtime.engine.dispose()


def test_the_daily_cap_postpones_a_reminder(database_url: str, provider: Provider) -> None:
    policy = Policy(contact_rest=timedelta(0), address_daily_cap=1, remind_after=timedelta(hours=20))
    runtime = sending_runner(database_url, policy)
    sender = dispatcher(runtime.store, twilio(provider.url), policy)
    ingest(runtime, completed(), scanned(time=DELIVERED))
    sender.run_once(DELIVERED)
    runtime.process_pending()
    runtime.tick(DELIVERED + timedelta(hours=21))
    sender.run_once(DELIVERED + timedelta(hours=23))
    assert len(provider.posts) == 1
    sender.run_once(DELIVERED + timedelta(hours=24))
    assert len(provider.posts) == 2
    sender.stop()
    runtime.engine.dispose()
