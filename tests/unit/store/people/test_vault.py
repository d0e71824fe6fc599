"""What the vault computes without a database."""

import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pipeline.store.people.vault import Vault

MASTER = b"k" * 32
VAULT = Vault(MASTER)


def test_a_digest_is_an_hmac_of_the_content() -> None:
    key = HKDF(SHA256(), 32, None, b"unvarnished event content").derive(MASTER)
    for content in (b"a", bytes(32), b"long" * 1_000):
        assert VAULT.content_digest(content) == hmac.digest(key, content, "sha256").hex()
