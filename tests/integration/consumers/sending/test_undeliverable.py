"""Addresses where nobody can be reached rest; a passing failure, a corrected number and a text from it change that."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pipeline.consumers.conversation import handling
from pipeline.consumers.conversation.texts import Inbound
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.sending.dispatcher import Dispatcher
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.answers.replies import PlainReader
from pipeline.domain.asking.policy import Policy
from pipeline.store.db.engine import reading
from pipeline.store.reads import reports
from pipeline.store.schema.people import undeliverable_addresses
from tests.support.builders import at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.provider import Provider
from tests.support.requests.installation import PHONE
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.sending import dispatcher, sending_runner, stored, twilio, webhook
from tests.support.stored import rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

POLICY = Policy(contact_rest=timedelta(0), remind_after=None, address_daily_cap=0)
ANOTHER = "+447700900124"
_orders = count(1)


class World:
    """An installation, its dispatcher and the provider's stub."""

    def __init__(self, runtime: EmbeddedRunner, provider: Provider, policy: Policy) -> None:
        self.runtime = runtime
        self.provider = provider
        self.sender: Dispatcher = dispatcher(runtime.store, twilio(provider.url), policy)

    def ask(self, when: datetime, phone: str = PHONE) -> dict[str, Any]:
        """An order is delivered, and its question sent if it may be. Returns the ask."""
        order_id = f"SO-{next(_orders):04}"
        ingest(self.runtime, completed(order_id, time=when, contacts=[contact(phone=phone)]))
        ingest(self.runtime, scanned(order_id, time=when))
        self.sender.run_once(when)
        return next(row for row in stored(self.runtime.engine) if row["order_id"] == order_id)

    def report(self, code: int | None, when: datetime, word: str = "undelivered", message: int = -1) -> None:
        """The provider reports on a message."""
        made = self.provider.made[message]
        fields = {"MessageSid": made.sid, "MessageStatus": word} | ({} if code is None else {"ErrorCode": str(code)})
        webhook(self.runtime.store, when)(made.fields["StatusCallback"], fields)

    def write(self, when: datetime, words: str = "2") -> None:
        """A text comes from the phone."""
        inbound = Inbound("twilio", f"SM{when:%d%H%M}", VAULT.phone_digest(PHONE), words, when)
        with self.runtime.engine.begin() as connection:
            result = handling.handle_text(connection, self.runtime.store, inbound, PlainReader(), when)
        self.runtime.ingest(result.events)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    runtime = sending_runner(database_url, POLICY)
    with Provider(tmp_path / "posts", now=lambda: at(hours=2)) as provider:
        made = World(runtime, provider, POLICY)
        yield made
        made.sender.stop()
    runtime.engine.dispose()


@pytest.mark.parametrize("code", [30004, 30005, 30006])
def test_after_a_permanent_failure_the_number_is_not_asked_and_the_coverage_says_why(world: World, code: int) -> None:
    assert world.ask(at(hours=2))["state"] == "sent"
    world.report(code, at(hours=2.1))
    refused = world.ask(at(days=1, hours=2))
    assert (refused["reason"], len(world.provider.made)) == ("undeliverable_address", 1)
    with reading(world.runtime.engine) as connection:
        assert reports.total(connection, LOCAL)["not_asked:undeliverable_address"] == 1


@pytest.mark.parametrize("code", [30003, 30008, 30410, None])
def test_a_failure_that_passes_changes_nothing(world: World, code: int | None) -> None:
    world.ask(at(hours=2))
    world.report(code, at(hours=2.1))
    assert world.ask(at(days=1, hours=2))["state"] == "sent"


def test_a_refusal_because_of_the_number_lets_it_rest_too(world: World) -> None:
    world.provider.plan("invalid")
    rejected = world.ask(at(hours=2))
    assert (rejected["state"], rejected["outcome"], rejected["code"]) == ("not_asked", "undeliverable", 21211)
    assert world.ask(at(days=1, hours=2))["reason"] == "undeliverable_address"
    with reading(world.runtime.engine) as connection:
        assert reports.total(connection, LOCAL)["not_asked:undeliverable_address"] == 2


def test_a_corrected_number_is_asked(world: World) -> None:
    world.ask(at(hours=2))
    world.report(30005, at(hours=2.1))
    assert world.ask(at(days=1, hours=2), ANOTHER)["state"] == "sent"
    assert world.ask(at(days=2, hours=2))["reason"] == "undeliverable_address", "the old one rests"


def test_the_question_that_was_refused_is_asked_at_a_corrected_number(world: World) -> None:
    world.ask(at(hours=2))
    world.report(30005, at(hours=2.1))
    refused = world.ask(at(days=1, hours=2))
    corrected = [contact(phone=ANOTHER)]
    ingest(
        world.runtime,
        completed(refused["order_id"], time=at(days=1, hours=3), event_id="corrected", contacts=corrected),
    )
    world.sender.run_once(at(days=1, hours=3))
    assert [post["To"] for post in world.provider.posts] == [PHONE, ANOTHER]


def test_a_text_from_the_number_ends_the_rest(world: World) -> None:
    world.ask(at(hours=2))
    world.report(30006, at(hours=2.1))
    world.write(at(hours=3))
    assert world.ask(at(days=1, hours=2))["state"] == "sent"


def test_what_is_on_its_way_when_the_report_comes_is_not_sent(world: World) -> None:
    world.ask(at(hours=2))
    ingest(world.runtime, completed("SO-X", time=at(hours=3)), scanned("SO-X", time=at(hours=3)))
    world.report(30006, at(hours=3))
    world.sender.run_once(at(hours=3))
    ended = next(row for row in stored(world.runtime.engine) if row["order_id"] == "SO-X")
    assert (ended["state"], ended["outcome"], len(world.provider.made)) == ("not_asked", "undeliverable", 1)
    world.runtime.tick(at(hours=4))
    with reading(world.runtime.engine) as connection:
        assert reports.total(connection, LOCAL)["not_asked:undeliverable_address"] == 1


@pytest.mark.parametrize("order", [("failed", "arrived"), ("arrived", "failed")])
def test_a_later_message_that_arrived_counts_more_in_either_order(world: World, order: tuple[str, str]) -> None:
    world.ask(at(hours=2))
    world.ask(at(hours=4))
    for report in order:
        if report == "failed":
            world.report(30005, at(hours=5), message=0)
        else:
            world.report(None, at(hours=5), "delivered", message=1)
    assert rows(world.runtime, undeliverable_addresses) == []


@pytest.mark.parametrize("order", [("failed", "arrived"), ("arrived", "failed")])
def test_an_earlier_message_that_arrived_does_not(world: World, order: tuple[str, str]) -> None:
    world.ask(at(hours=2))
    world.ask(at(hours=4))
    for report in order:
        if report == "failed":
            world.report(30005, at(hours=5), message=1)
        else:
            world.report(None, at(hours=5), "delivered", message=0)
    assert len(rows(world.runtime, undeliverable_addresses)) == 1


def test_the_rest_is_as_long_as_it_is_said_to_be(database_url: str, tmp_path: Path) -> None:
    policy = replace(POLICY, undeliverable_rest=timedelta(days=30))
    runtime = sending_runner(database_url, policy)
    with Provider(tmp_path / "posts", now=lambda: at(hours=2)) as provider:
        world = World(runtime, provider, policy)
        world.ask(at(hours=2))
        world.report(30005, at(hours=2.1))
        assert world.ask(at(days=29, hours=2))["reason"] == "undeliverable_address"
        assert world.ask(at(days=31, hours=2))["state"] == "sent"
        world.sender.stop()
    runtime.engine.dispose()
