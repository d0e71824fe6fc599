"""The choice of the channel of a contact, and questions whose channel is unavailable, in every mode."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.sending.dispatcher import Dispatcher
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.asking.channels import SMS, Channel
from pipeline.domain.asking.policy import Policy
from pipeline.notifiers.port import Accepted, Message, ProviderAnswer
from pipeline.store.db.engine import reading
from pipeline.store.reads import reports
from pipeline.store.schema.asks import asks
from pipeline.store.schema.people import opt_outs
from tests.support.builders import at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.sending import CONTEXT, sending_runner, stored
from tests.support.stored import rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

DELIVERED = at(hours=2)
EMAIL = Channel("email", address_kind="email", consent_kind="email")
SMS_ONLY, BOTH = Policy(), Policy(channels=(SMS, EMAIL))
ADDRESS = "ana@example.com"


class Outbox:
    """A notifier that records its messages."""

    name = "outbox"

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message) -> ProviderAnswer:
        self.sent.append(message)
        return Accepted(f"message-{len(self.sent)}")

    def find(self, to: str, link_hash: str, since: datetime) -> None:
        return None


@pytest.fixture
def runtime(database_url: str) -> Iterator[EmbeddedRunner]:
    made = sending_runner(database_url, BOTH)
    yield made
    made.engine.dispose()


def by_email(contact_id: str = "ana", email: str = ADDRESS, **more: Any) -> dict[str, Any]:
    return contact(contact_id, phone=None, email=email, consent={"email": True, "source": "contract"}, **more)


def deliver(runtime: EmbeddedRunner, person: dict[str, Any], order_id: str = "SO-1") -> None:
    ingest(runtime, completed(order_id, time=DELIVERED, contacts=[person]), scanned(order_id, time=DELIVERED))


def dispatch(runtime: EmbeddedRunner, moment: datetime, **notifiers: Outbox) -> None:
    """One round of a dispatcher that has these channels."""
    policy = runtime.setup.policy
    channels = tuple(channel for channel in policy.channels if channel.name in notifiers)
    made = Dispatcher(runtime.store, replace(policy, channels=channels), notifiers, CONTEXT, lambda: moment)
    made.run_once(moment)
    made.stop()
    runtime.process_pending()


def reasons(runtime: EmbeddedRunner) -> list[str | None]:
    return [row["reason"] for row in rows(runtime, asks)]


def losses(runtime: EmbeddedRunner) -> dict[str, int]:
    with reading(runtime.engine) as connection:
        counted = reports.total(connection, LOCAL)
    return {name: n for name, n in counted.items() if name.startswith("not_asked:")}


@pytest.mark.parametrize("phone", [None, "+447700900123"])
def test_a_contact_with_consent_to_email_only_is_not_asked_without_an_email_channel(
    database_url: str, phone: str | None
) -> None:
    runtime = sending_runner(database_url, SMS_ONLY)
    deliver(runtime, by_email() | {"phone": phone})
    assert reasons(runtime) == ["no_channel"]
    assert losses(runtime) == {"not_asked:no_channel": 1}
    assert rows(runtime, opt_outs) == [], "they never opted out"
    runtime.engine.dispose()


def test_the_channel_of_the_consent_carries_the_question_to_its_own_address(runtime: EmbeddedRunner) -> None:
    sms, email = Outbox(), Outbox()
    deliver(runtime, by_email(email=f" {ADDRESS} "))
    deliver(runtime, contact("bob", email="bob@example.com"), "SO-2")
    dispatch(runtime, DELIVERED, sms=sms, email=email)
    assert [message.to for message in email.sent] == [ADDRESS]
    assert [message.to for message in sms.sent] == ["+447700900123"]
    recipients = {row["order_id"]: (row["channel"], row["recipient"]) for row in stored(runtime.engine)}
    assert recipients == {
        "SO-1": ("email", VAULT.email_digest(ADDRESS)),
        "SO-2": ("sms", VAULT.phone_digest("+447700900123")),
    }


def test_who_cannot_reply_to_texts_is_asked_by_e_mail_or_by_links_only(database_url: str) -> None:
    runtime = sending_runner(database_url, Policy(channels=(replace(SMS, one_way_in=frozenset({"IN"})), EMAIL)))
    consent = {"sms": True, "email": True, "source": "contract"}
    deliver(runtime, contact(phone="+919812345678", email=ADDRESS, consent=consent), "SO-1")
    deliver(runtime, contact("ben", phone="+919812345679"), "SO-2")
    deliver(runtime, contact("eva", phone="+33612345678", email="eva@example.com", consent=consent), "SO-3")
    sms, email = Outbox(), Outbox()
    dispatch(runtime, DELIVERED, sms=sms, email=email)
    assert [message.to for message in email.sent] == [ADDRESS]
    bodies = {message.order_id: message.body for message in sms.sent}
    assert set(bodies) == {"SO-2", "SO-3"}
    assert ("/u/" in bodies["SO-2"], "2 late" in bodies["SO-2"]) == (True, False)
    assert ("/u/" in bodies["SO-3"], "2 late" in bodies["SO-3"]) == (False, True)
    runtime.engine.dispose()


def test_an_opt_out_counts_for_the_address_of_the_channel(runtime: EmbeddedRunner) -> None:
    deliver(runtime, by_email())
    with runtime.engine.begin() as connection:
        connection.execute(opt_outs.insert().values(digest=VAULT.email_digest(ADDRESS), at=DELIVERED, source="test"))
    email = Outbox()
    dispatch(runtime, DELIVERED, email=email)
    assert email.sent == []
    assert stored(runtime.engine)[0]["outcome"] == "opted_out"
    deliver(runtime, by_email(), "SO-2")
    assert reasons(runtime) == [None, "opted_out"]


def test_a_question_whose_channel_was_switched_off_waits_and_ends_without_a_channel(runtime: EmbeddedRunner) -> None:
    deliver(runtime, by_email())
    sms = Outbox()
    for hours in (0, 24, 47):
        dispatch(runtime, DELIVERED + timedelta(hours=hours), sms=sms)
        assert stored(runtime.engine)[0]["state"] == "due"
    dispatch(runtime, DELIVERED + BOTH.send_within, sms=sms)
    (ask,) = stored(runtime.engine)
    assert (ask["state"], ask["outcome"], sms.sent) == ("not_asked", "no_channel", [])
    runtime.tick(at(days=4))
    assert losses(runtime) == {"not_asked:no_channel": 1}
