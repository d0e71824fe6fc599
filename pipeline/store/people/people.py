"""Contacts: their names and addresses are sealed here, and events continue with digests of the addresses."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from pipeline.domain.events.contract import DeliveryUpdated, Event, OrderCompleted
from pipeline.store.db.bulk import Row, upsert
from pipeline.store.people.vault import Vault
from pipeline.store.schema.people import people

_NO_ACCOUNT = ""  # of a person who signs for a delivery


class PseudonymisedEvent(NamedTuple):
    """An event's text without names and addresses, and the rows of the people whose they are."""

    text: str
    people: list[Row]


def pseudonymise(vault: Vault, event: Event, raw: bytes) -> PseudonymisedEvent | None:
    """Remove personal data from an event before it enters the journal; None: the event has none."""
    data = event.data
    if isinstance(data, OrderCompleted) and any(c.name or c.phone or c.email for c in data.contacts):
        envelope = msgspec.json.decode(raw)
        found = [_seal_contact(vault, data.account.id, event.time, contact) for contact in envelope["data"]["contacts"]]
    elif isinstance(data, DeliveryUpdated) and data.signed_by:
        envelope = msgspec.json.decode(raw)
        found = [_seal_contact(vault, _NO_ACCOUNT, event.time, {"id": data.order_id, "name": data.signed_by})]
        envelope["data"]["signed_by"] = None
    else:
        return None
    return PseudonymisedEvent(msgspec.json.encode(envelope).decode(), found)


def save_people(connection: Connection, found: Iterable[Row]) -> None:
    """Store people. An event older than the stored one changes nothing.

    Nor does an event without a phone number replace a stored number: a due question could then no longer be sent.
    """
    best: dict[tuple[str, str], Row] = {}
    for row in found:
        known = best.setdefault((row["account_id"], row["contact_id"]), row)
        if _rank(row) >= _rank(known):
            best[row["account_id"], row["contact_id"]] = row
    upsert(connection, people, [best[key] for key in sorted(best)], newest="said_at", prefer="phone_digest")


def _rank(row: Row) -> tuple[bool, datetime]:
    return row["phone_digest"] is not None, row["said_at"]


def _seal_contact(vault: Vault, account_id: str, said_at: datetime, contact: dict[str, Any]) -> Row:
    """Seal one person's data, and replace the addresses in `contact` by digests."""
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
