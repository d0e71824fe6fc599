"""The form of a webhook, checked by the verifier of the library `standardwebhooks`."""

import asyncio
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from pipeline.notifiers.receivers.configuration import WebhookConfig
from pipeline.notifiers.receivers.port import Delivered, Delivery, Result
from pipeline.notifiers.receivers.webhook.receiver import configure
from tests.support.receiving.hooks import HookServer
from tests.support.receiving.incidents import change

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def deliver(server: HookServer, *deliveries: Delivery) -> list[Result]:
    config = WebhookConfig(name="erp", url=f"{server.url}/in", secret=SECRET, allow_private_addresses=True)

    async def _all() -> list[Result]:
        receiver = configure(config)
        try:
            return [await receiver.deliver(one) for one in deliveries]
        finally:
            await receiver.close()

    return asyncio.run(_all())


def now() -> datetime:
    return datetime.now(UTC)


def test_the_library_verifies_the_signature_and_finds_the_event() -> None:
    with HookServer() as server:
        assert deliver(server, Delivery("I-1:1", (change(),), now())) == [Delivered()]
    [call] = server.calls
    verified = Webhook(SECRET).verify(call.body, dict(call.headers))
    assert (verified["type"], verified["data"]["incident_id"]) == ("incident.opened", "I-1")
    assert call.path == "/in"


def test_an_altered_body_is_not_verified() -> None:
    with HookServer() as server:
        deliver(server, Delivery("I-1:1", (change(),), now()))
    [call] = server.calls
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(call.body.replace(b"Lyon", b"Nice"), dict(call.headers))


def test_the_id_is_the_same_in_every_attempt_and_another_for_every_event() -> None:
    with HookServer() as server:
        first, other = Delivery("I-1:1", (change(),), now()), Delivery("I-1:2", (change(act=2),), now())
        deliver(server, first, first, other)
    ids = [call.id for call in server.calls]
    assert ids[0] == ids[1] != ids[2]


def test_a_digest_has_the_events_and_a_test_has_none() -> None:
    with HookServer() as server:
        both = (change("I-1"), change("I-2"))
        deliver(server, Delivery("digest:1", both, now(), digest=True), Delivery("test:1", (), now(), test=True))
    digest, test = (call.json for call in server.calls)
    assert digest["type"] == "incident.digest"
    assert [event["data"]["incident_id"] for event in digest["data"]["events"]] == ["I-1", "I-2"]
    assert test["type"] == "receiver.test"
