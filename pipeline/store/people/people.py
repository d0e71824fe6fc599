"""The customer's people: addresses are sealed here, and events travel on with digests in their place."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from pipeline.domain.events.contract import DeliveryUpdated, Event, OrderCompleted
from pipeline.store.db.bulk import Row, upsert
from pipeline.store.people.vault import Vault
from pipeline.store.schema.tables import people

_SIGNED = ""  # whoever signs for a delivery belongs to no account we know


class Sealed(NamedTuple):
    """An event's text without names and addresses, and the people these belong to."""

    text: str
    people: list[Row]


def seal(vault: Vault, event: Event, raw: bytes) -> Sealed | None:
    """Take personal data out of an event on its way into the journal; None: there is none in it."""
    data = event.data
    if isinstance(data, OrderCompleted) and any(c.name or c.phone or c.email for c in data.contacts):
        envelope = msgspec.json.decode(raw)
        found = [_take(vault, data.account.id, event.time, contact) for contact in envelope["data"]["contacts"]]
    elif isinstance(data, DeliveryUpdated) and data.signed_by:
        envelope = msgspec.json.decode(raw)
        found = [_take(vault, _SIGNED, event.time, {"id": data.order_id, "name": data.signed_by})]
        envelope["data"]["signed_by"] = None
    else:
        return None
    return Sealed(msgspec.json.encode(envelope).decode(), found)


def remember(connection: Connection, found: Iterable[Row]) -> None:
    """Write people; what an older event says of one changes nothing.

    Nor does one that leaves out the number: whoever is to be asked already would be silenced by that.
    """
    best: dict[tuple[str, str], Row] = {}
    for row in found:
        known = best.setdefault((row["account_id"], row["contact_id"]), row)
        if _rank(row) >= _rank(known):
            best[row["account_id"], row["contact_id"]] = row
    upsert(connection, people, [best[key] for key in sorted(best)], newest="said_at", holding="phone_digest")


def _rank(row: Row) -> tuple[bool, datetime]:
    return row["phone_digest"] is not None, row["said_at"]


def _take(vault: Vault, account_id: str, said_at: datetime, contact: dict[str, Any]) -> Row:
    """Seal one person, and leave digests in place of the addresses."""
    name, phone, email = (contact.get(field) for field in ("name", "phone", "email"))
    phone_digest, email_digest = vault.phone_digest(phone), vault.email_digest(email)
    contact.update(name=None, phone=phone_digest, email=email_digest)
    person, wrapped_key = vault.person()
    return {
        "account_id": account_id,
        "contact_id": contact["id"],
        "said_at": said_at,
        "wrapped_key": wrapped_key,
        "name": vault.seal(person, name),
        "phone": vault.seal(person, phone),
        "email": vault.seal(person, email),
        "phone_digest": phone_digest,
        "email_digest": email_digest,
    }
