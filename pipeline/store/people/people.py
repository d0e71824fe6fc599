"""Contacts: their names and addresses are sealed here, and events continue with digests of the addresses."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from pipeline.domain.asking.channels import AddressKind
from pipeline.domain.events.contract import Account, Contact, DeliveryUpdated, Event, OrderCompleted
from pipeline.domain.events.received import encode, parse
from pipeline.store.db.bulk import Row, upsert
from pipeline.store.people.vault import Vault, deliverable
from pipeline.store.schema.people import people

_NO_ACCOUNT = ""  # of a person who signs for a delivery


class PseudonymisedEvent(NamedTuple):
    """An event's text without names and addresses, and the rows of the people whose they are."""

    text: str
    people: list[Row]


def pseudonymise(vault: Vault, event: Event, raw: bytes) -> PseudonymisedEvent | None:
    """Remove personal data from an event before it enters the journal; None: the event has none."""
    data = event.data
    said_at = min(event.time, event.received_at)  # a clock that runs ahead wins over no correction
    if isinstance(data, OrderCompleted) and any(_has_personal_data(c) for c in data.contacts):
        envelope = parse(raw)
        found = [_seal_contact(vault, data.account, said_at, contact) for contact in envelope["data"]["contacts"]]
    elif isinstance(data, DeliveryUpdated) and data.signed_by:
        envelope = parse(raw)
        signer = {"id": data.order_id or data.tracking_number, "name": data.signed_by}
        found = [_seal_contact(vault, Account(_NO_ACCOUNT), said_at, signer)]
        envelope["data"]["signed_by"] = None
    else:
        return None
    return PseudonymisedEvent(encode(envelope).decode(), found)


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


def _has_personal_data(contact: Contact) -> bool:
    """Whether anything of the contact has to be sealed, or an empty address made none."""
    return any(field is not None for field in (contact.name, contact.phone, contact.email))


def unusable_addresses(vault: Vault, account: Account, phone: str | None, email: str | None) -> list[AddressKind]:
    """Which addresses of a contact are named, but cannot be written to."""
    unusable: list[AddressKind] = []
    if phone and phone.strip() and vault.read_phone(phone, account.country) is None:
        unusable.append("phone")
    if email and email.strip() and vault.email_digest(email) is None:
        unusable.append("email")
    return unusable


def _seal_contact(vault: Vault, account: Account, said_at: datetime, contact: dict[str, Any]) -> Row:
    """Seal one person's data, and replace the addresses in `contact` by digests."""
    name, phone, email = (contact.get(field) for field in ("name", "phone", "email"))
    contact.pop("unusable_addresses", None)  # ours to say
    if unusable := unusable_addresses(vault, account, phone, email):
        contact["unusable_addresses"] = unusable
    number = vault.read_phone(phone, account.country)
    if phone and number is not None and deliverable("phone", phone) != number:
        phone = number  # sealed so that it can be read without knowing its country
    phone_digest, email_digest = vault.phone_digest(number), vault.email_digest(email)
    contact.update(name=None, phone=phone_digest, email=email_digest)
    contact.pop("country", None)  # ours to say
    if (country := vault.country_of(number, account.country)) is not None:
        contact["country"] = country
    person, wrapped_key = vault.person()
    return {
        "account_id": account.id,
        "contact_id": contact["id"],
        "said_at": said_at,
        "wrapped_key": wrapped_key,
        "name": vault.seal(person, name),
        "phone": vault.seal(person, phone),
        "email": vault.seal(person, email),
        "phone_digest": phone_digest,
        "email_digest": email_digest,
    }
