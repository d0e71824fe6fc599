"""Questions by e-mail, through a real server: sent once, answered by the form, bounced, ended by one click."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.ask_states import hashed
from pipeline.domain.asking.channels import EMAIL
from pipeline.domain.asking.policy import Policy
from pipeline.store.schema.people import undeliverable_addresses
from tests.support.builders import at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.sending import CONTEXT, dispatcher, email, sending_runner, stored
from tests.support.servers.mail import MailServer, mail_server
from tests.support.stored import rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
POLICY = Policy(channels=(EMAIL,))
DELIVERED = at(hours=2)
CONSENT = {"email": True, "source": "contract"}


@pytest.fixture
def runtime(database_url: str) -> Iterator[EmbeddedRunner]:
    made = sending_runner(database_url, POLICY)
    yield made
    made.engine.dispose()


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as made:
        yield made


def deliver(runtime: EmbeddedRunner, **person: Any) -> None:
    known = {"phone": None, "email": "Ana@Customer.example", "consent": CONSENT} | person
    order = completed(time=DELIVERED, contacts=[contact(**known)])
    ingest(runtime, order, scanned(time=DELIVERED), received_at=DELIVERED)


def send(runtime: EmbeddedRunner, server: MailServer) -> None:
    made = dispatcher(runtime.store, email(server.port), POLICY)
    made.run_once(DELIVERED)
    made.stop()


def test_a_contact_with_consent_gets_one_email_with_one_tap_links(runtime: EmbeddedRunner, server: MailServer) -> None:
    deliver(runtime, language="fr")
    send(runtime, server)
    [(to, message)] = server.taken
    assert (to, message["Subject"]) == (
        "Ana@Customer.example",
        "Acme: Comment s’est passée votre livraison\u202f? (Commande SO-1)",
    )
    [ask] = stored(runtime.engine)
    assert (ask["channel"], ask["state"], ask["recipient"]) == (
        "email",
        "sent",
        VAULT.email_digest("ana@customer.example"),
    )
    html = message.get_body(("html",))
    assert html is not None
    [token] = {*re.findall(rf"{CONTEXT.public_url}/f/([\w-]{{22}})\?a=\d", html.get_content())}
    assert ask["form_token_hash"] == hashed(token)
    unsubscribe = message["List-Unsubscribe"]
    assert unsubscribe.startswith(f"<{CONTEXT.public_url}/u/")
    assert hashed(unsubscribe.strip("<>").rpartition("/")[2]) == ask["unsubscribe_token_hash"]
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_without_consent_to_email_nothing_is_sent(runtime: EmbeddedRunner, server: MailServer) -> None:
    deliver(runtime, consent={"sms": True, "source": "contract"})
    send(runtime, server)
    assert (server.tried, stored(runtime.engine)[0]["reason"]) == ([], "no_channel")


def test_an_address_that_does_not_exist_rests(runtime: EmbeddedRunner, server: MailServer) -> None:
    server.behaviour = "no_mailbox"
    deliver(runtime)
    send(runtime, server)
    [ask] = stored(runtime.engine)
    assert (ask["state"], ask["outcome"], ask["code"]) == ("not_asked", "undeliverable", 550)
    assert [row["digest"] for row in rows(runtime, undeliverable_addresses)] == [ask["recipient"]]


def test_a_server_that_says_later_is_asked_later(runtime: EmbeddedRunner, server: MailServer) -> None:
    server.behaviour = "later"
    deliver(runtime)
    send(runtime, server)
    [ask] = stored(runtime.engine)
    assert (ask["state"], ask["outcome"]) == ("due", "not_accepted")
    assert ask["wake_at"] > DELIVERED
    assert server.taken == []
