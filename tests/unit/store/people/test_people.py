"""Names and addresses leave an event before it is stored."""

import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pipeline.domain.events.decoding import decode
from pipeline.domain.events.received import read
from pipeline.store.people.people import pseudonymise
from pipeline.store.people.vault import Vault
from tests.support.builders import completed, contact, scanned, tracked

MASTER = b"k" * 32
VAULT = Vault(MASTER)
CONTACTS: dict[str, list[dict[str, Any]]] = {
    "phone": [contact()],
    "everything": [contact(name="Ana", email="ana@example.com", consent={"sms": True, "at": "2026-01-05T10:00:00Z"})],
    "nothing readable": [contact(phone="none", email="none", unusable_addresses=["post"])],
    "claims of the sender": [contact(name="Ana", phone=None, unusable_addresses=["phone"])],
    "several": [contact("a"), contact("b", phone=None), contact("c", phone="06 12 34 56 78", note={"weight": 1.50})],
}


@pytest.mark.parametrize("name", CONTACTS)
@pytest.mark.parametrize("country", [None, "FR"])
def test_the_event_is_the_one_that_its_stored_text_says(name: str, country: str | None) -> None:
    received = read(completed(account={"id": "A-1", "country": country}, contacts=CONTACTS[name]))
    sealed = pseudonymise(VAULT, received.event, received.raw)
    assert sealed is not None
    assert sealed.event == decode(sealed.text.encode(), None, received.event.received_at)


@pytest.mark.parametrize("raw", [scanned(signed_by="Dana"), tracked("1Z999", signed_by="Dana")])
def test_who_signed_is_neither_in_the_event_nor_in_its_text(raw: bytes) -> None:
    received = read(raw)
    sealed = pseudonymise(VAULT, received.event, received.raw)
    assert sealed is not None
    assert sealed.event == decode(sealed.text.encode())
    assert sealed.event.data.signed_by is None


def test_a_digest_is_an_hmac_of_the_content() -> None:
    key = HKDF(SHA256(), 32, None, b"unvarnished event content").derive(MASTER)
    for content in (b"a", bytes(32), b"long" * 1_000):
        assert VAULT.content_digest(content) == hmac.digest(key, content, "sha256").hex()
