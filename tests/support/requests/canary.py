"""Personal data of one person, in every field that can hold it, and how to find it where nothing may be readable."""

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.support.builders import answered, cancelled, cloud, completed, contact, repromised, scanned, tracked

NAME, PHONE, EMAIL, WORDS = (
    "Kanarina Vogelsang",
    "+447700900177",
    "kanarina@vogelsang.example",
    "zitronengelb durchnaesst",
)
SECRETS = (NAME, "Kanarina", "Vogelsang", PHONE, "7700900177", "7700 900177", EMAIL, WORDS, "zitronengelb")
PERSON = contact("kay", name=NAME, phone="+44 7700 900177", email=EMAIL, private_mobile=PHONE)


def forms(secret: str) -> Iterator[bytes]:
    """The secret as text and in base64, wherever it stands in a longer text."""
    for text in {secret, secret.casefold(), secret.upper()}:
        raw = text.encode()
        yield raw
        for start in range(3):
            coded = b64encode(b"\0" * start + raw)
            yield coded[4 if start else 0 : 4 * ((start + len(raw)) // 3)]


FORMS = [form for secret in SECRETS for form in forms(secret) if len(form) >= 8]


def leaks(contents: bytes) -> list[bytes]:
    return [form for form in FORMS if form in contents]


def events(now: datetime) -> list[bytes]:
    """A person in every field that can name one, in valid events and in broken ones."""
    order = completed("SO-1", now, contacts=[PERSON], memo={NAME: WORDS}, _={"subject": f"for {NAME}", "note1": WORDS})
    return [
        order,
        repromised("SO-1", now, now + timedelta(hours=2), reason=WORDS, by=NAME),
        scanned("SO-1", now, note=f"{WORDS} {PHONE}", signed_by=NAME, status="attempted"),
        tracked("NX 77", now, note=f"{NAME} {WORDS}"),
        answered("SO-7", now, "kay", comment=f"{WORDS}, says {NAME}, {PHONE}"),
        cancelled("SO-8", now, reason=f"{NAME}: {WORDS}"),
        order.replace(b'"receiver"', json.dumps(NAME).encode()).replace(b"SO-1:completed", b"broken-1"),
        scanned("SO-1", now, status=WORDS, event_id="broken-2"),
        cloud("order.completed", "broken-3", now, {"order_id": "SO-3", "account": NAME}),
        cloud(NAME, "broken-4", now, {}),
        answered("SO-1", now, "kay", "broken-5", score={"value": PHONE}),
    ]
