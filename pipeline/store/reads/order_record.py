"""Everything that is stored of one order, read by key."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select

from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.events.contract import OWN_SOURCE, FulfilmentCompared
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts
from pipeline.domain.orders.order import Order
from pipeline.store.people.vault import UnsealError, Vault
from pipeline.store.reads.answers import StoredAnswer, answers_to
from pipeline.store.schema.asks import asks, refusals
from pipeline.store.schema.conversations import inbound_messages
from pipeline.store.schema.journal import journal
from pipeline.store.schema.orders import claims, orders

MOST_PAIRS = 50  # comparisons of one order that are read back, the newest; more would need as many answers

_facts = msgspec.json.Decoder(Facts)
_dialogue = msgspec.json.Decoder(Dialogue)


class _Payload(msgspec.Struct):
    data: FulfilmentCompared


_compared = msgspec.json.Decoder(_Payload)


class StoredAsk(NamedTuple):
    """One decision to ask or not to ask, and its result; `reason` None: to be asked."""

    contact_id: str
    purpose: str
    decided_at: datetime
    reason: str | None
    channel: str | None
    state: str
    due_at: datetime | None
    attempt: int
    sent_at: datetime | None
    delivered_at: datetime | None
    outcome: str | None
    code: int | None


class StoredClaim(NamedTuple):
    """One revision of the claim, and the event that caused it."""

    revision: int
    recorded_at: datetime
    source: str
    event_id: str
    claim: Claim


class StoredText(NamedTuple):
    """One inbound text about the order. `words`: its content; None: it is sealed, or there are none."""

    received_at: datetime
    contact_id: str | None
    outcome: str
    reply: str | None
    words: str | None = None


class StoredPair(NamedTuple):
    """One comparison of claim and answer, and its verdict."""

    compared_at: datetime
    verdict: str


class OrderRecord(NamedTuple):
    """Everything that is stored of one order, each list in order of time."""

    order: Order
    claims: list[StoredClaim]
    asks: list[StoredAsk]
    answers: list[StoredAnswer]
    texts: list[StoredText]
    pairs: list[StoredPair]


def read_orders(connection: Connection, order_ids: Collection[str]) -> dict[str, Order]:
    """Those of these orders that exist, by id."""
    query = select(orders.c.order_id, orders.c.facts, orders.c.dialogue)
    rows = connection.execute(query.where(orders.c.order_id.in_(set(order_ids))))
    return {
        order_id: Order(order_id, _facts.decode(facts), _dialogue.decode(dialogue))
        for order_id, facts, dialogue in rows
    }


def read_record(connection: Connection, order_id: str, vault: Vault | None = None) -> OrderRecord | None:
    """One order and everything about it; None if there is no such order.

    `vault` opens the words of texts, opt-outs among them; without it they stay sealed.
    """
    order = read_orders(connection, [order_id]).get(order_id)
    if order is None:
        return None
    return OrderRecord(
        order,
        _claims(connection, order_id),
        _asks(connection, order_id),
        answers_to(connection, order_id),
        _texts(connection, order_id, vault),
        _pairs(connection, order),
    )


def _claims(connection: Connection, order_id: str) -> list[StoredClaim]:
    columns = [claims.c[name] for name in ("revision", "recorded_at", "source", "event_id", *Claim.__struct_fields__)]
    query = select(*columns).where(claims.c.order_id == order_id).order_by(claims.c.revision)
    return [
        StoredClaim(revision, recorded_at, source, event_id, Claim(*claim))
        for revision, recorded_at, source, event_id, *claim in connection.execute(query)
    ]


def _asks(connection: Connection, order_id: str) -> list[StoredAsk]:
    query = select(*(asks.c[name] for name in StoredAsk._fields)).where(asks.c.order_id == order_id)
    found = [StoredAsk(*row) for row in connection.execute(query)]
    kept = select(refusals.c.contact_id, refusals.c.purpose, refusals.c.decided_at, refusals.c.reason)
    found += [_refused(*row) for row in connection.execute(kept.where(refusals.c.order_id == order_id))]
    return sorted(found, key=lambda ask: (ask.decided_at, ask.contact_id))


def _refused(contact_id: str, purpose: str, decided_at: datetime, reason: str) -> StoredAsk:
    """A refusal that another decision replaced."""
    return StoredAsk(contact_id, purpose, decided_at, reason, None, AskState.NOT_ASKED, None, 0, None, None, None, None)


def _texts(connection: Connection, order_id: str, vault: Vault | None) -> list[StoredText]:
    names = ("received_at", "contact_id", "outcome", "reply", "text")
    query = select(*(inbound_messages.c[name] for name in names)).where(inbound_messages.c.order_id == order_id)
    return [
        StoredText(*row, words=None if vault is None else _opened(vault, sealed))
        for *row, sealed in connection.execute(query.order_by(inbound_messages.c.received_at))
    ]


def _opened(vault: Vault, sealed: bytes) -> str | None:
    """The words of a text; None if there are none, or if they were sealed with another key."""
    try:
        return vault.open_bytes(sealed).decode() or None
    except UnsealError:
        return None


def _pairs(connection: Connection, order: Order) -> list[StoredPair]:
    """The verdict of each comparison, read from our own events by the ids that we gave them."""
    last = order.dialogue.comparisons
    ids = [f"{order.order_id}:{n}" for n in range(max(last - MOST_PAIRS, 0) + 1, last + 1)]
    return [StoredPair(at, _compared.decode(payload).data.verdict) for at, payload in _own_events(connection, ids)]


def _own_events(connection: Connection, ids: Sequence[str]) -> list[tuple[datetime, str]]:
    query = (
        select(journal.c.received_at, journal.c.payload)
        .where(journal.c.id.in_(ids), journal.c.source == OWN_SOURCE)
        .order_by(journal.c.seq)
    )
    return [(received_at, payload) for received_at, payload in connection.execute(query)]
