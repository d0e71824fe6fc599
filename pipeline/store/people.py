"""The customer's people: addresses are sealed here, and events travel on with digests in their place."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from pipeline.domain.events import DeliveryUpdated, Event, OrderCompleted
from pipeline.store.bulk import Row, upsert
from pipeline.store.tables import people
from pipeline.store.vault import Vault

_SIGNED = ""  # whoever signs for a delivery belongs to no account we know


class Sealer:
    """Takes personal data out of events on their way into the journal, one transaction long."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._rows: dict[tuple[str, str], Row] = {}

    def seal(self, event: Event, raw: bytes) -> str | None:
        """The event's text without names and addresses, which are remembered for `flush`; None: it holds none."""
        data = event.data
        if isinstance(data, OrderCompleted) and any(c.name or c.phone or c.email for c in data.contacts):
            envelope = msgspec.json.decode(raw)
            for contact in envelope["data"]["contacts"]:
                self._take(data.account.id, event.time, contact)
            return msgspec.json.encode(envelope).decode()
        if isinstance(data, DeliveryUpdated) and data.signed_by:
            envelope = msgspec.json.decode(raw)
            self._take(_SIGNED, event.time, {"id": data.order_id, "name": data.signed_by})
            envelope["data"]["signed_by"] = None
            return msgspec.json.encode(envelope).decode()
        return None

    def flush(self, connection: Connection) -> None:
        """Write the people; what an older event says of one changes nothing."""
        upsert(connection, people, list(self._rows.values()), newest="said_at")

    def _take(self, account_id: str, said_at: datetime, contact: dict[str, Any]) -> None:
        vault = self._vault
        name, phone, email = (contact.get(field) for field in ("name", "phone", "email"))
        phone_digest, email_digest = vault.phone_digest(phone), vault.email_digest(email)
        contact.update(name=None, phone=phone_digest, email=email_digest)
        key = (account_id, contact["id"])
        if key in self._rows and self._rows[key]["said_at"] > said_at:
            return
        person, wrapped_key = vault.person()
        self._rows[key] = {
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
