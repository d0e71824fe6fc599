"""Posts each change of an incident as JSON, signed as Standard Webhooks describes (https://www.standardwebhooks.com).

`webhook-id` is the id of the event: the same in every attempt, so the other side can drop what it has already.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

import msgspec
from standardwebhooks.webhooks import Webhook

from pipeline.domain.notices.notice import Notice
from pipeline.domain.notices.routes import Traits
from pipeline.notifiers.receivers import http
from pipeline.notifiers.receivers.configuration import WebhookConfig, wrong_receiver
from pipeline.notifiers.receivers.port import Delivered, Delivery, Result

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)  # as the specification recommends
_encode = msgspec.json.Encoder().encode


class WebhookReceiver:
    """One URL. It gets every change, in its order."""

    traits = Traits(every_change=True)

    def __init__(self, config: WebhookConfig) -> None:
        self.name = config.name
        self.target = http.shown(config.url)
        self._url = config.url
        self._signer = Webhook(config.secret)
        self._poster = http.Poster(guarded=not config.allow_private_addresses)

    async def deliver(self, delivery: Delivery) -> Result:
        """Make one attempt."""
        body = _encode(payload(delivery))
        headers = {
            "content-type": "application/json",
            "user-agent": "unvarnished",
            "webhook-id": message_id(delivery.key),
            "webhook-timestamp": str(int(delivery.now.timestamp())),
            "webhook-signature": self._signer.sign(message_id(delivery.key), delivery.now, body.decode()),
        }
        return await self._poster.post(self._url, body, headers)

    async def refresh(self, memories: Sequence[str], now: datetime) -> Result:
        """Not needed: it was told every change."""
        return Delivered()

    def refreshes(self, memory: str, now: datetime) -> bool:
        """Never."""
        return False

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def message_id(key: str) -> str:
    """The idempotency key in the form of a header: an event's id may contain any character."""
    return f"msg_{sha256(key.encode()).hexdigest()[:40]}"


def payload(delivery: Delivery) -> dict[str, object]:
    """The body: type, time and data of the event; of a digest those of its events."""
    if delivery.test:
        return {"type": "receiver.test", "timestamp": delivery.now, "data": {}}
    if delivery.digest:
        events = [_event(notice) for notice in delivery.notices]
        return {"type": "incident.digest", "timestamp": delivery.now, "data": {"events": events}}
    return _event(delivery.notices[0])


def _event(notice: Notice) -> dict[str, object]:
    return {"type": notice.type, "timestamp": notice.data.at, "data": notice.data}


def configure(config: WebhookConfig) -> WebhookReceiver:
    """The receiver of a configuration. Raises ConfigurationError."""
    if (wrong := http.check_url(config.url)) is not None:
        raise wrong_receiver(config, "url", wrong)
    try:
        key = base64.b64decode(config.secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not config.secret.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
        raise wrong_receiver(config, "secret", "must be whsec_ and 24 to 64 bytes in base64")
    return WebhookReceiver(config)
