"""The keys that words are sealed with: one for each person, each unknown address and each order.

A key is made once and survives every later event; whoever else makes it at the same time gets the same one. Destroying
it makes unreadable what was sealed with it, wherever copies of that are.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

from sqlalchemy import Connection, select

from pipeline.store.db import locks
from pipeline.store.db.bulk import among, insert_new
from pipeline.store.people.vault import SealingKey, Vault, key_id_of
from pipeline.store.schema.people import sealing_keys

_OWNERS_OF_A_QUERY = 5_000
_SEALING = "keys"  # the lock that everybody shares who seals, and an erasure holds alone


class Owner(NamedTuple):
    """Whose a key is, by id: a person (account and contact), the digest of an address that belongs to nobody known, an
    order (alone, or with the contact of whom only the order is known), or a parcel that no order is known of.
    """

    kind: Literal["person", "address", "order", "parcel"]
    id: str


def person(account_id: str, contact_id: str) -> Owner:
    """The owner of a person's key."""
    return Owner("person", f"{account_id}\n{contact_id}")


def order(order_id: str, contact_id: str | None = None) -> Owner:
    """The owner of an order's key; with a contact of the key for what that contact says before the account is known."""
    return Owner("order", order_id if contact_id is None else f"{order_id}\n{contact_id}")


def contact(account_id: str | None, order_id: str, contact_id: str) -> Owner:
    """The owner of the key for a contact's words about an order, whose account may be unknown."""
    return person(account_id, contact_id) if account_id else order(order_id, contact_id)


def begin_sealing(connection: Connection) -> None:
    """Wait for an erasure that is being carried out, and keep others away until the transaction ends.

    Call it before any other lock is acquired.
    """
    locks.lock_shared(connection, "erasure", _SEALING)


def keys_for(connection: Connection, vault: Vault, owners: Collection[Owner]) -> Mapping[Owner, SealingKey]:
    """The keys of these owners; a missing one is made. After `begin_sealing` they stay valid for the transaction."""
    if not owners:
        return {}
    found = _read(connection, vault, owners)
    missing = sorted(set(owners) - found.keys())
    if missing:
        insert_new(connection, sealing_keys, [_row(vault, owner) for owner in missing])
        found |= _read(connection, vault, missing)  # of two that make a key at once, both read the one that was first
    return found


def stop_sealing(connection: Connection) -> None:
    """Wait until nobody seals with keys that were read before, and let nobody read keys until the transaction ends."""
    locks.lock(connection, "erasure", [_SEALING])


def existing(connection: Connection, vault: Vault, owners: Collection[Owner]) -> Mapping[Owner, SealingKey]:
    """The keys of those of these owners that have one."""
    return _read(connection, vault, owners) if owners else {}


def open_words(connection: Connection, vault: Vault, tokens: Iterable[str | None]) -> Mapping[str, str]:
    """The texts of these sealed words, by the sealed form. Those whose key was destroyed are missing."""
    by_key: dict[str, set[str]] = {}
    for token in tokens:
        key_id = key_id_of(token)
        if token is not None and key_id is not None:
            by_key.setdefault(key_id, set()).add(token)
    keys = by_id(connection, vault, by_key)
    return {token: key.open(token) for key_id, key in keys.items() for token in by_key[key_id]}


def by_id(connection: Connection, vault: Vault, key_ids: Collection[str]) -> Mapping[str, SealingKey]:
    """The keys with these ids; those that were destroyed are missing."""
    if not key_ids:
        return {}
    query = select(sealing_keys.c.key_id, sealing_keys.c.wrapped_key)
    rows = connection.execute(query.where(among(connection, sealing_keys.c.key_id, list(key_ids))))
    return {key_id: vault.key(key_id, wrapped) for key_id, wrapped in rows}


def _row(vault: Vault, owner: Owner) -> dict[str, object]:
    key_id, wrapped = vault.new_key()
    return {"kind": owner.kind, "owner": owner.id, "key_id": key_id, "wrapped_key": wrapped}


def _read(connection: Connection, vault: Vault, owners: Collection[Owner]) -> dict[Owner, SealingKey]:
    found = dict[Owner, SealingKey]()
    query = select(sealing_keys.c.owner, sealing_keys.c.key_id, sealing_keys.c.wrapped_key)
    for kind in sorted({owner.kind for owner in owners}):
        ids = [owner.id for owner in owners if owner.kind == kind]
        for start in range(0, len(ids), _OWNERS_OF_A_QUERY):
            these = among(connection, sealing_keys.c.owner, ids[start : start + _OWNERS_OF_A_QUERY])
            for owner, key_id, wrapped in connection.execute(query.where(sealing_keys.c.kind == kind, these)):
                found[Owner(kind, owner)] = vault.key(key_id, wrapped)
    return found
