"""Personal data at rest: encrypted with a key per person, found by keyed digests, erased by deleting the key.

Plain hashes of all phone numbers can be enumerated in minutes. So a digest is an HMAC with a key that is not in the
database.
"""

import base64
import hmac
import os
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pipeline.domain.asking.channels import AddressKind
from pipeline.store.people.phone_numbers import country_code, country_of, e164, equivalents

_NONCE = 12  # bytes, the size recommended for AES-GCM
KEY_BYTES = 32


class UnsealError(ValueError):
    """Sealed data cannot be opened: it was sealed with another master key, or it was altered."""


class Vault:
    """Seals and opens with keys derived from one master key of 32 bytes.

    `country`: the country of phone numbers without a country code (ISO 3166); None: such numbers cannot be used.
    """

    def __init__(self, master: bytes, country: str | None = None) -> None:
        if len(master) != KEY_BYTES:
            raise ValueError(f"the master key has {len(master)} bytes, not {KEY_BYTES}")
        self._country = country
        self._wrapping = AESGCM(_derive(master, b"unvarnished wrap"))
        self._digesting = _derive(master, b"unvarnished digest")
        self._bytes_key = AESGCM(_derive(master, b"unvarnished dead letters"))
        self._content_key = _derive(master, b"unvarnished event content")
        self._link_key = _derive(master, b"unvarnished links")

    def person(self) -> tuple[AESGCM, bytes]:
        """A new key for a person: to seal with, and wrapped by the master key, to be stored."""
        key = os.urandom(KEY_BYTES)
        return AESGCM(key), _seal(self._wrapping, key)

    def seal(self, key: AESGCM, text: str | None) -> bytes | None:
        """A text encrypted with a person's key; None: there is no text."""
        return None if text is None else _seal(key, text.encode())

    def open(self, wrapped_key: bytes, sealed: bytes) -> str:
        """The text that `seal` encrypted with the key that is wrapped here. Raises UnsealError."""
        return _open(AESGCM(_open(self._wrapping, wrapped_key)), sealed).decode()

    def seal_bytes(self, raw: bytes) -> bytes:
        """Bytes that may contain personal data, of people unknown: dead letters and inbound texts."""
        return _seal(self._bytes_key, raw)

    def open_bytes(self, sealed: bytes) -> bytes:
        """The bytes that `seal_bytes` encrypted. Raises UnsealError."""
        return _open(self._bytes_key, sealed)

    def digest(self, kind: AddressKind, address: str | None) -> str | None:
        """The digest of an address of that kind; None if it is not one that can be written to."""
        return self.phone_digest(address) if kind == "phone" else self.email_digest(address)

    def other_digests(self, kind: AddressKind, address: str | None) -> tuple[str, ...]:
        """The digests of other spellings that reach the same phone; none for another kind of address."""
        number = self.read_phone(address) if kind == "phone" else None
        return () if number is None else tuple(self._digest(f"tel:{one}") for one in equivalents(number))

    def read_phone(self, phone: str | None, country: str | None = None) -> str | None:
        """A phone number in E.164; None if it cannot be written to. `country`: as its account states it."""
        return None if phone is None else e164(phone, country_code(country) or self._country)

    def country_of(self, number: str | None, account_country: str | None) -> str | None:
        """The country of a phone number in E.164; without one, that of the account (ISO 3166)."""
        found = None if number is None else country_of(number)
        return found or country_code(account_country) or None

    def phone_digest(self, phone: str | None) -> str | None:
        """The digest of a phone number in any notation; None if it cannot be written to."""
        number = self.read_phone(phone)
        return None if number is None else self._digest(f"tel:{number}")

    def email_digest(self, email: str | None) -> str | None:
        """The digest of an e-mail address; None if it is not one."""
        if email is None or "@" not in email.strip("@ "):
            return None
        return self._digest(f"mailto:{email.strip().lower()}")

    def content_digest(self, content: bytes) -> str | None:
        """The digest of what an event says, which contains phone numbers; None: there is no content to compare."""
        return hmac.digest(self._content_key, content, "sha256").hex() if content else None

    def link_token(self, purpose: str) -> str:
        """The token of a link that can be made again: 128 bits of a keyed hash of what it is for."""
        return (
            base64.urlsafe_b64encode(hmac.digest(self._link_key, purpose.encode(), "sha256")[:16]).decode().rstrip("=")
        )

    def _digest(self, address: str) -> str:
        return hmac.new(self._digesting, address.encode(), sha256).hexdigest()


def deliverable(kind: AddressKind, address: str) -> str | None:
    """An address as a channel sends to it: a phone number in E.164, an e-mail address without surrounding space.

    None if it is not one that can be written to.
    """
    if kind == "phone":
        return e164(address)
    return address.strip() if "@" in address.strip("@ ") else None


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, None, purpose).derive(master)


def _seal(key: AESGCM, plain: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + key.encrypt(nonce, plain, None)


def _open(key: AESGCM, sealed: bytes) -> bytes:
    try:
        return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
    except InvalidTag:
        raise UnsealError("sealed with another key, or altered") from None
