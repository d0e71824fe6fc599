"""Contacts: their names and addresses are stored here, sealed; events continue with digests of the addresses."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from pipeline.domain.asking.channels import AddressKind
from pipeline.domain.events.contract import Account, Contact
from pipeline.store.db.bulk import Row, insert_new, upsert
from pipeline.store.people.phone_numbers import country_code
from pipeline.store.people.vault import SealingKey, Vault, deliverable
from pipeline.store.schema.people import people, person_orders


def save_people(connection: Connection, found: Iterable[Row], named: Iterable[Row] = ()) -> None:
    """Store people, and which orders name them (`named`). An event older than the stored one changes nothing.

    Nor does an event without a phone number replace a stored number: a due question could then no longer be sent.
    """
    best: dict[tuple[str, str], Row] = {}
    for row in found:
        known = best.setdefault((row["account_id"], row["contact_id"]), row)
        if _rank(row) >= _rank(known):
            best[row["account_id"], row["contact_id"]] = row
    upsert(connection, people, [best[key] for key in sorted(best)], newest="said_at", prefer="phone_digest")
    pairs = {tuple(row.values()): row for row in named}
    insert_new(connection, person_orders, [pairs[key] for key in sorted(pairs)])


def _rank(row: Row) -> tuple[bool, datetime]:
    return row["phone_digest"] is not None, row["said_at"]


def has_personal_data(contact: Contact) -> bool:
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


def seal_contact(vault: Vault, key: SealingKey, account: Account, said_at: datetime, contact: dict[str, Any]) -> Row:
    """Seal one person's name and addresses, and replace the addresses in `contact` by digests. Returns the person."""
    name, phone, email = (contact.get(field) for field in ("name", "phone", "email"))
    number = vault.read_phone(phone, account.country)
    phone_digest, email_digest = vault.phone_digest(number), vault.email_digest(email)
    contact.pop("unusable_addresses", None)  # ours to say
    if (phone and number is None) or (email and email_digest is None):
        contact["unusable_addresses"] = unusable_addresses(vault, account, phone, email)
    if phone and number not in (None, phone) and deliverable("phone", phone) != number:
        phone = number  # sealed so that it can be read without knowing its country
    country = country_code(contact.pop("country", None)) or vault.country_of(number, account.country)
    if country is not None:
        contact["country"] = country
    contact.update(name=None, phone=phone_digest, email=email_digest)
    return {
        "account_id": account.id,
        "contact_id": contact["id"],
        "said_at": said_at,
        "name": key.seal_value(name),
        "phone": key.seal_value(phone),
        "email": key.seal_value(email),
        "phone_digest": phone_digest,
        "email_digest": email_digest,
        "key_id": key.id,
    }
