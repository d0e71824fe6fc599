"""What a customer's page shows of an order, so that people know which delivery is meant. No personal data."""

from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select

from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts, contact_of
from pipeline.store.schema.orders import orders

_facts = msgspec.json.Decoder(Facts)
_dialogue = msgspec.json.Decoder(Dialogue)


class Delivery(NamedTuple):
    """An order as a customer recognises it: None where it is not known. `language`, `timezone`: of the contact."""

    order_id: str
    delivered_at: datetime | None = None
    timezone: str | None = None  # the contact's, else the order's
    carrier: str | None = None
    parcels: int | None = None
    language: str | None = None


def delivery_for_customer(connection: Connection, order_id: str, contact_id: str) -> Delivery:
    """The order behind a link, as it is known now. A code may be scanned before the order is known."""
    columns = orders.c.facts, orders.c.dialogue
    row = connection.execute(select(*columns).where(orders.c.order_id == order_id)).first()
    facts = Facts() if row is None else _facts.decode(row.facts)
    if row is None or not facts.known:
        return Delivery(order_id)
    order, contact = facts.latest, contact_of(facts, contact_id)
    return Delivery(
        order_id,
        _dialogue.decode(row.dialogue).claim.delivered_at,
        (contact and contact.timezone) or order.timezone,
        _carrier_of(facts),
        order.shipments or None,
        contact.language if contact else None,
    )


def _carrier_of(facts: Facts) -> str | None:
    """The carrier, if there is one for all parcels."""
    named = {parcel.carrier for parcel in facts.latest.parcels if parcel.carrier}
    if len(named) == 1:
        return named.pop()
    return None if named else facts.latest.dimensions.get("carrier")
