"""Personal data at rest: encrypted with a key per person, found by keyed digests, erased by destroying the key.

Plain hashes of all phone numbers can be enumerated in minutes. So a digest is an HMAC with a key that is not in the
database. `keys` stores the keys, `sealing` says which words are sealed with which key.
"""

import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from hashlib import sha256
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pipeline.domain.asking.channels import AddressKind
from pipeline.store.people.phone_numbers import country_code, country_of, e164, equivalents

_NONCE = 12  # bytes, the size recommended for AES-GCM
KEY_BYTES = 32
_SHA256_BLOCK = 64  # bytes


_TOKEN = "sealed"  # noqa: S105 - what the text of sealed words begins with
_KNOWN_WORDS = 1 << 14  # digests kept in memory, of a few megabytes: most words of a comment stood in earlier ones
_WORD_DIGEST = 16  # bytes: enough that no two words of an installation share a digest


class UnsealError(ValueError):
    """Sealed data cannot be opened: it was sealed with another master key, or it was altered."""


class SealingKey:
    """A key of one person, address or order, under the random id that everything sealed with it names."""

    __slots__ = ("_aes", "id")

    def __init__(self, key_id: str, aes: AESGCM) -> None:
        self.id = key_id
        self._aes = aes

    def seal(self, text: str) -> str:
        """A text as it is stored within events and other texts: ciphertext in base64 that names its key."""
        return ":".join(
            (_TOKEN, self.id, urlsafe_b64encode(_seal(self._aes, text.encode("utf-8", "replace"))).decode())
        )

    def open(self, token: str) -> str:
        """The text that `seal` encrypted. Raises UnsealError."""
        try:
            sealed = urlsafe_b64decode(token.rpartition(":")[2])
        except ValueError:
            raise UnsealError("not a sealed text") from None
        return _open(self._aes, sealed).decode()

    def seal_value(self, text: str | None) -> bytes | None:
        """A text as a column of bytes stores it; None: there is no text."""
        return None if text is None else _seal(self._aes, text.encode())

    def open_value(self, sealed: bytes) -> str:
        """The text that `seal_value` encrypted. Raises UnsealError."""
        return _open(self._aes, sealed).decode()


def key_id_of(token: str | None) -> str | None:
    """The id of the key that a text was sealed with; None: it is not sealed."""
    name, _, rest = (token or "").partition(":")
    return rest.partition(":")[0] if name == _TOKEN and ":" in rest else None


class Vault:
    """Seals and opens with keys derived from one master key of 32 bytes.

    `country`: the country of phone numbers without a country code (ISO 3166); None: such numbers cannot be used.
    """

    def __init__(self, master: bytes, country: str | None = None) -> None:
        if len(master) != KEY_BYTES:
            raise ValueError(f"the master key has {len(master)} bytes, not {KEY_BYTES}")
        self._country = country
        self._wrapping = AESGCM(_derive(master, b"unvarnished wrap"))
        self._digest = _Hmac(_derive(master, b"unvarnished digest"))
        self._bytes_key = AESGCM(_derive(master, b"unvarnished dead letters"))
        self._content_digest = _Hmac(_derive(master, b"unvarnished event content"))
        of_word = _Hmac(_derive(master, b"unvarnished words"))
        self._word_digest = lru_cache(_KNOWN_WORDS)(lambda word: bytes.fromhex(of_word(word.encode()))[:_WORD_DIGEST])
        self._link_digest = _Hmac(_derive(master, b"unvarnished links"))

    def new_key(self) -> tuple[str, bytes]:
        """A new key as it is stored: a random id, and the key wrapped by the master key."""
        return secrets.token_hex(12), _seal(self._wrapping, os.urandom(KEY_BYTES))

    def key(self, key_id: str, wrapped: bytes) -> SealingKey:
        """A stored key, to seal and open with. Raises UnsealError."""
        return SealingKey(key_id, AESGCM(_open(self._wrapping, wrapped)))

    def open(self, wrapped_key: bytes, sealed: bytes) -> str:
        """The text that `SealingKey.seal_value` encrypted with the key that is wrapped here. Raises UnsealError."""
        return self.key("", wrapped_key).open_value(sealed)

    def word_digest(self, kind: Literal["word", "prefix"], folded: str) -> bytes:
        """The keyed digest of a folded word, or of the first letters of one, by which answers are searched."""
        return self._word_digest(f"{kind}:{folded}")

    def seal_bytes(self, raw: bytes) -> bytes:
        """Bytes that may contain personal data, of people unknown, and that are deleted by their age: dead letters and
        the spool."""
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
        return () if number is None else tuple(self._digest(f"tel:{one}".encode()) for one in equivalents(number))

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
        return None if number is None else self._digest(f"tel:{number}".encode())

    def email_digest(self, email: str | None) -> str | None:
        """The digest of an e-mail address; None if it is not one."""
        if email is None or "@" not in email.strip("@ "):
            return None
        return self._digest(f"mailto:{email.strip().lower()}".encode())

    def content_digest(self, content: bytes) -> str | None:
        """The digest of what an event says, which contains phone numbers; None: there is no content to compare."""
        return self._content_digest(content) if content else None

    def link_token(self, purpose: str) -> str:
        """The token of a link that can be made again: 128 bits of a keyed hash of what it is for."""
        return urlsafe_b64encode(bytes.fromhex(self._link_digest(purpose.encode()))[:16]).decode().rstrip("=")


class _Hmac:
    """HMAC-SHA256 (RFC 2104) with the blocks of the key hashed once: half the time of `hmac.digest`."""

    def __init__(self, key: bytes) -> None:
        block = key.ljust(_SHA256_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def __call__(self, message: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


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
