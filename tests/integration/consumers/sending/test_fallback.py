"""When a channel fails for good, the question goes out on the contact's next one; never while the outcome is open."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.sending.dispatcher import Dispatcher
from pipeline.domain.asking.channels import EMAIL, SMS
from pipeline.domain.asking.policy import Policy
from pipeline.notifiers.port import Notifier
from tests.support.builders import at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.provider import Provider
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.sending import CONTEXT, email, sending_runner, stored, twilio, webhook
from tests.support.servers.mail import MailServer, mail_server

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
POLICY = Policy(channels=(SMS, EMAIL))
DELIVERED = at(hours=2)
BOTH = {"sms": True, "email": True, "source": "contract"}


@pytest.fixture
def runtime(database_url: str) -> Iterator[EmbeddedRunner]:
    made = sending_runner(database_url, POLICY)
    yield made
    made.engine.dispose()


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with Provider(tmp_path / "posts", "accept", now=lambda: DELIVERED) as made:
        yield made


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as made:
        yield made


def deliver(runtime: EmbeddedRunner, **person: Any) -> None:
    known = {"email": "ana@customer.example", "consent": BOTH} | person
    order = completed(time=DELIVERED, contacts=[contact(**known)])
    ingest(runtime, order, scanned(time=DELIVERED), received_at=DELIVERED)


def send(runtime: EmbeddedRunner, provider: Provider, server: MailServer) -> None:
    """Dispatch until nothing is due, with the events in between."""
    notifiers: dict[str, Notifier] = {"sms": twilio(provider.url), "email": email(server.port)}
    for _ in range(4):
        made = Dispatcher(runtime.store, POLICY, notifiers, CONTEXT, lambda: DELIVERED)
        made.run_once(DELIVERED)
        made.stop()
        runtime.process_pending()
        runtime.tick(DELIVERED)


def test_a_number_that_cannot_be_reached_is_followed_by_an_email(
    runtime: EmbeddedRunner, provider: Provider, server: MailServer
) -> None:
    provider.always = "invalid"
    deliver(runtime)
    send(runtime, provider, server)
    assert [to for to, _ in server.taken] == ["ana@customer.example"]
    [ask] = stored(runtime.engine)
    assert (ask["channel"], ask["fallback"], ask["state"]) == ("sms", "email", "sent")
    assert ask["recipient"] == VAULT.email_digest("ana@customer.example")
    assert len(provider.posts) == 1


def test_when_every_channel_fails_the_question_is_lost_once(
    runtime: EmbeddedRunner, provider: Provider, server: MailServer
) -> None:
    provider.always, server.behaviour = "invalid", "no_mailbox"
    deliver(runtime)
    send(runtime, provider, server)
    [ask] = stored(runtime.engine)
    assert (ask["state"], ask["outcome"]) == ("not_asked", "undeliverable")
    assert (len(provider.posts), len(server.tried)) == (1, 1)


@pytest.mark.parametrize("answer", ["reset", "error", "accept"])
def test_a_message_that_may_have_been_sent_has_no_second_way(
    runtime: EmbeddedRunner, provider: Provider, server: MailServer, answer: Any
) -> None:
    provider.always = answer
    deliver(runtime)
    send(runtime, provider, server)
    assert server.tried == []
    assert stored(runtime.engine)[0]["fallback"] is None


def test_an_opt_out_at_the_provider_ends_all_ways(
    runtime: EmbeddedRunner, provider: Provider, server: MailServer
) -> None:
    provider.always = "opted_out"
    deliver(runtime)
    send(runtime, provider, server)
    assert server.tried == [], "whoever stopped our messages is not written to elsewhere"


def test_a_contact_is_asked_on_the_channel_that_it_prefers(
    runtime: EmbeddedRunner, provider: Provider, server: MailServer
) -> None:
    deliver(runtime, preferred_channel="email")
    send(runtime, provider, server)
    assert (len(server.taken), provider.posts) == (1, [])


def test_a_message_that_failed_after_all_is_followed_by_the_reminder_on_the_next_channel(
    runtime: EmbeddedRunner, provider: Provider, server: MailServer
) -> None:
    deliver(runtime)
    send(runtime, provider, server)
    assert server.taken == []
    [made] = provider.made
    failed = {"MessageSid": made.sid, "MessageStatus": "undelivered", "ErrorCode": "30006"}
    for _ in range(2):
        webhook(runtime.store, DELIVERED)(made.fields["StatusCallback"], failed)
    send(runtime, provider, server)
    assert [to for to, _ in server.taken] == ["ana@customer.example"], "at once, and once"
    asks = {ask["purpose"]: ask for ask in stored(runtime.engine)}
    assert (asks["delivery"]["state"], asks["reminder"]["channel"], asks["reminder"]["state"]) == (
        "failed",
        "email",
        "sent",
    )
    assert asks["reminder"]["address"] == VAULT.email_digest("ana@customer.example")
    assert len(provider.posts) == 1
