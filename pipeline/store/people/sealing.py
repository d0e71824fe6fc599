"""Seals the words of events at the door: what enters the journal, and so every topic, holds ciphertext only.

Names and addresses leave the event: `people` holds them. Words stay in their place, sealed. What the contract does not
know is sealed together, under the name `sealed`, because it may be anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import Connection

from pipeline.domain.events.contract import DeliveryRetracted, DeliveryUpdated, Event, FeedbackReceived, OrderCompleted
from pipeline.domain.events.decoding import decode_stored
from pipeline.domain.events.received import encode, parse
from pipeline.domain.events.tracking import normal_number
from pipeline.domain.events.words import ATTRIBUTES, SEALED, SHAPES, Shape
from pipeline.store.db.bulk import Row
from pipeline.store.orders.accounts import accounts_of
from pipeline.store.people import keys
from pipeline.store.people.keys import Owner
from pipeline.store.people.people import has_personal_data, seal_contact
from pipeline.store.people.vault import SealingKey, Vault
from pipeline.store.people.word_index import digests_of

_UNKNOWN = Shape(frozenset({"order_id"}), {}, {})  # of a type that this version does not know


class SealedEvent(NamedTuple):
    """An event as it is stored, and what is stored with it."""

    event: Event
    text: str
    people: Sequence[Row] = ()
    person_orders: Sequence[Row] = ()
    words: frozenset[bytes] = frozenset()  # digests for the search


class _Slot(NamedTuple):
    """The members of one object that are sealed, and with whose key."""

    owner: Owner
    container: dict[str, Any]
    words: Sequence[str]
    unknown: Sequence[str]


class _Contact(NamedTuple):
    """A contact in an order's event, whose name and addresses go to `people`."""

    owner: Owner
    container: dict[str, Any]


class _Plan(NamedTuple):
    """What is to be done with one event."""

    event: Event
    raw: bytes
    envelope: dict[str, Any]
    slots: Sequence[_Slot]
    contacts: Sequence[_Contact]
    changed: bool  # something was removed


def seal_events(connection: Connection, vault: Vault, events: Sequence[tuple[Event, bytes]]) -> list[SealedEvent]:
    """Seal events in the caller's transaction, each given with the text that it is to be stored as.

    Waits for an erasure: call it before any other lock is acquired.
    """
    return _seal_all(connection, vault, events, is_stored=False)


def seal_stored(connection: Connection, vault: Vault, events: Sequence[tuple[Event, bytes]]) -> list[SealedEvent]:
    """Seal the words of events that an earlier version stored: without names and addresses, its words readable."""
    return _seal_all(connection, vault, events, is_stored=True)


def seal_unreadable(connection: Connection, vault: Vault, stored: Sequence[tuple[str, bytes]]) -> list[str]:
    """Seal the words of stored events that this version cannot read, given by type and text, with keys of orders."""
    envelopes = [parse(raw) for _, raw in stored]
    owners = [keys.order(str(envelope["data"].get("order_id", ""))) for envelope in envelopes]
    found = keys.keys_for(connection, vault, set(owners))
    for (kind, _), envelope, owner in zip(stored, envelopes, owners, strict=True):
        shape = SHAPES.get(kind, _UNKNOWN)
        for slot in _slots(envelope["data"], shape, owner):
            _fill(slot, found[owner])
    return [encode(envelope).decode() for envelope in envelopes]


def _seal_all(
    connection: Connection, vault: Vault, events: Sequence[tuple[Event, bytes]], is_stored: bool
) -> list[SealedEvent]:
    keys.begin_sealing(connection)
    accounts = _accounts(connection, [event for event, _ in events])
    plans = [_plan(event, raw, accounts) for event, raw in events]
    if is_stored:
        plans = [plan._replace(contacts=()) for plan in plans]
    owners = {slot.owner for plan in plans for slot in plan.slots}
    owners |= {contact.owner for plan in plans for contact in plan.contacts}
    found = keys.keys_for(connection, vault, owners)
    return [_seal(vault, plan, found) for plan in plans]


def _accounts(connection: Connection, events: Sequence[Event]) -> Mapping[str, str]:
    """The accounts of the orders that answers belong to, as known now or by another event of this batch."""
    wanted = {event.data.order_id for event in events if event.type.startswith("feedback.")}
    if not wanted:
        return {}
    known = {event.data.order_id: event.data.account.id for event in events if isinstance(event.data, OrderCompleted)}
    return {**known, **accounts_of(connection, wanted)}


def _plan(event: Event, raw: bytes, accounts: Mapping[str, str]) -> _Plan:
    envelope = parse(raw)
    data, root = envelope["data"], _owner(event.data, accounts)
    attributes = [name for name in envelope if name not in ATTRIBUTES and not _repeats_id(name, envelope, event.data)]
    slots = [_Slot(root, envelope, (), attributes)] if attributes else []
    shape = SHAPES[event.type]
    contacts = list[_Contact]()
    if isinstance(event.data, OrderCompleted):
        given = data.get("contacts") or []
        for stated, container in zip(event.data.contacts, given, strict=True):
            owner = keys.person(event.data.account.id, stated.id)
            slots += _slots(container, shape.nested["contacts"], owner)
            if has_personal_data(stated):
                contacts.append(_Contact(owner, container))
        shape = shape._replace(nested={name: inner for name, inner in shape.nested.items() if name != "contacts"})
    slots += _slots(data, shape, root)
    changed = isinstance(event.data, FeedbackReceived) and data.pop("has_comment", None) is not None  # ours to say
    return _Plan(event, raw, envelope, slots, contacts, changed)


def _owner(data: Any, accounts: Mapping[str, str]) -> Owner:
    """Whose the words of an event are, unless they are within a contact."""
    contact_id = getattr(data, "contact_id", None)
    if contact_id is not None:
        return keys.contact(accounts.get(data.order_id), data.order_id, contact_id)
    if data.order_id is None and isinstance(data, DeliveryUpdated | DeliveryRetracted):
        return Owner("parcel", normal_number(data.tracking_number or ""))
    return keys.order(data.order_id)


def _repeats_id(name: str, envelope: Mapping[str, Any], data: Struct) -> bool:
    """Whether this is the subject, and one of the ids that the data states anyway."""
    ids = (getattr(data, each, None) for each in ("order_id", "tracking_number", "shipment_id"))
    return name == "subject" and envelope[name] in ids


def _slots(container: dict[str, Any], shape: Shape, owner: Owner) -> Iterator[_Slot]:
    words = [name for name in shape.words if container.get(name)]
    unknown = [name for name in container if name not in shape.known]
    if words or unknown:
        yield _Slot(owner, container, words, unknown)
    for name, inner in shape.nested.items():
        value = container.get(name)
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, dict):
                yield from _slots(one, inner, owner)


def _seal(vault: Vault, plan: _Plan, found: Mapping[Owner, SealingKey]) -> SealedEvent:
    event, data = plan.event, plan.event.data
    orders, words = _person_orders(data), frozenset[bytes]()
    if isinstance(data, FeedbackReceived) and data.comment:
        words = digests_of(vault, data.comment)
    if not (plan.slots or plan.contacts or plan.changed):
        return SealedEvent(event, plan.raw.decode(), (), orders)
    said_at = min(event.time, event.received_at)  # a clock that runs ahead wins over no correction
    people = [
        seal_contact(vault, found[contact.owner], data.account, said_at, contact.container) for contact in plan.contacts
    ]
    for slot in plan.slots:
        _fill(slot, found[slot.owner])
    text = encode(plan.envelope)
    return SealedEvent(_decoded(text, event), text.decode(), people, orders, words)


def _decoded(text: bytes, event: Event) -> Event:
    return decode_stored(text, event.received_at)._replace(place=event.place)


def _fill(slot: _Slot, key: SealingKey) -> None:
    for name in slot.words:
        slot.container[name] = key.seal(slot.container[name])
    if slot.unknown:
        hidden = {name: slot.container.pop(name) for name in slot.unknown}
        slot.container[SEALED] = key.seal(encode(hidden).decode())


def _person_orders(data: Any) -> list[Row]:
    """The people whom an order names."""
    if not isinstance(data, OrderCompleted):
        return []
    return [
        {"account_id": data.account.id, "contact_id": contact.id, "order_id": data.order_id}
        for contact in data.contacts
    ]
