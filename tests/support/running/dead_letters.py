"""Published dead letters, opened."""

import msgspec

from pipeline.consumers.cluster.dead_letters import DeadLetter
from pipeline.store.people.vault import Vault

VAULT = Vault(bytes(range(32)))


def opened(vault: Vault, sealed: bytes) -> DeadLetter:
    return msgspec.msgpack.decode(vault.open_bytes(sealed), type=DeadLetter)
