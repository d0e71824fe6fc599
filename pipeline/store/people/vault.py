"""Personal data at rest: encrypted with a key per person, found by keyed digests, forgotten by losing the key.

A plain hash of a phone number can be enumerated in minutes; the digest here is an HMAC under a key that is not in the
database.
"""

import hmac
import os
from functools import lru_cache
from hashlib import sha256

import phonenumbers
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12  # bytes, the size AES-GCM is made for
KEY_BYTES = 32


class Sealed(ValueError):
    """What was sealed cannot be opened: another master key, or the bytes were altered."""


class Vault:
    """Seals and opens with keys derived from one master key of 32 bytes."""

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise ValueError(f"the master key has {len(master)} bytes, not {KEY_BYTES}")
        self._wrapping = AESGCM(_derive(master, b"unvarnished wrap"))
        self._digesting = _derive(master, b"unvarnished digest")
        self._letters = AESGCM(_derive(master, b"unvarnished dead letters"))

    def person(self) -> tuple[AESGCM, bytes]:
        """A new person's key, to seal with and wrapped to be stored."""
        key = os.urandom(KEY_BYTES)
        return AESGCM(key), _seal(self._wrapping, key)

    def seal(self, key: AESGCM, text: str | None) -> bytes | None:
        """A person's text under that person's key."""
        return None if text is None else _seal(key, text.encode())

    def open(self, wrapped_key: bytes, sealed: bytes) -> str:
        """A person's text again. Raises Sealed."""
        return _open(AESGCM(_open(self._wrapping, wrapped_key)), sealed).decode()

    def seal_letter(self, raw: bytes) -> bytes:
        """The bytes of a dead letter: nobody knows what is in them."""
        return _seal(self._letters, raw)

    def open_letter(self, sealed: bytes) -> bytes:
        """The bytes of a dead letter again. Raises Sealed."""
        return _open(self._letters, sealed)

    def phone_digest(self, phone: str | None) -> str | None:
        """The digest of a phone number in whatever spelling; None if it is no number anybody could be reached at."""
        number = None if phone is None else e164(phone)
        return None if number is None else self._digest(f"tel:{number}")

    def email_digest(self, email: str | None) -> str | None:
        """The digest of an e-mail address; None if it is none."""
        if email is None or "@" not in email.strip("@ "):
            return None
        return self._digest(f"mailto:{email.strip().lower()}")

    def _digest(self, address: str) -> str:
        return hmac.new(self._digesting, address.encode(), sha256).hexdigest()


@lru_cache(maxsize=4_096)
def e164(phone: str) -> str | None:
    """A number in E.164 ("+33612345678"); None where it is not a possible number with its country."""
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, None, purpose).derive(master)


def _seal(key: AESGCM, plain: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + key.encrypt(nonce, plain, None)


def _open(key: AESGCM, sealed: bytes) -> bytes:
    try:
        return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
    except InvalidTag:
        raise Sealed("sealed with another key, or altered") from None
