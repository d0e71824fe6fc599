"""Calls as Twilio makes them, signed."""

from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as Xml

from litestar import Litestar
from litestar.testing import TestClient
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from tests.support.requests.installation import PHONE, PUBLIC_URL

ACCOUNT, KEY, OLD_KEY = "AC" + "1" * 32, "a" * 32, "b" * 32


SID = "SM" + "0123456789abcdef" * 2


def text(body: str = "2", sid: str = SID, sender: str = PHONE, **more: str) -> dict[str, str]:
    """The parameters of an inbound text."""
    known = {
        "ToCountry": "GB",
        "SmsMessageSid": sid,
        "NumMedia": "0",
        "SmsStatus": "received",
        "Body": body,
        "To": "+447700900000",
        "MessageSid": sid,
        "AccountSid": ACCOUNT,
        "From": sender,
        "ApiVersion": "2010-04-01",
    }
    return known | more


def status(word: str = "delivered", sid: str = SID, **more: str) -> dict[str, str]:
    known = {"MessageSid": sid, "MessageStatus": word, "AccountSid": ACCOUNT, "From": "+447700900000", "To": PHONE}
    return known | more


def signed(path: str, fields: dict[str, str], key: str = KEY, url: str = PUBLIC_URL) -> dict[str, str]:
    signature = RequestValidator(key).compute_signature(url + path, fields)
    return {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded"}


def call(client: TestClient[Litestar], path: str, fields: dict[str, str], **signing: str) -> Any:
    return client.post(path, content=urlencode(fields), headers=signed(path, fields, **signing))


def replies(answer: Any) -> list[str]:
    assert answer.headers["content-type"].startswith("text/xml")
    return [message.text or "" for message in Xml.fromstring(answer.text).iter("Message")]  # noqa: S314
