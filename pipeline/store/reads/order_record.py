"""Everything that is stored of one order, read by key."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import structs
from sqlalchemy import Connection, select

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.events.contract import OWN_SOURCE, FixedResponse, FulfilmentCompared
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts
from pipeline.domain.orders.order import Order
from pipeline.store.orders.memberships import visible
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
    response: FixedResponse | None = None


class StoredClaim(NamedTuple):
    """One revision of the claim, and the event that caused it."""

    revision: int
    recorded_at: datetime
    source: str
    event_id: str
    claim: Claim


class StoredText(NamedTuple):
    """One inbound text about the order. `words`: its content, sealed; None: they may not be read, or are gone."""

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


def read_orders(connection: Connection, principal: Principal, order_ids: Collection[str]) -> dict[str, Order]:
    """Those of these orders that exist for the principal, by id."""
    query = select(orders.c.order_id, orders.c.facts, orders.c.dialogue)
    rows = connection.execute(query.where(orders.c.order_id.in_(set(order_ids)), visible(connection, principal)))
    return {
        order_id: Order(order_id, _facts.decode(facts), _dialogue.decode(dialogue))
        for order_id, facts, dialogue in rows
    }


def read_record(connection: Connection, principal: Principal, order_id: str) -> OrderRecord | None:
    """One order and everything about it; None if there is no such order for the principal.

    Words are sealed (`store.reads.words` opens them); without the permission to read words there are none.
    """
    order = read_orders(connection, principal, [order_id]).get(order_id)
    if order is None:
        return None
    may_read_words = principal.may(Permission.WORDS)
    if not may_read_words:
        _remove_words(order.facts)
    return OrderRecord(
        order,
        _claims(connection, order_id),
        _asks(connection, order_id),
        [_corrected(answer, order) for answer in answers_to(connection, principal, order_id)],
        _texts(connection, order_id, may_read_words),
        _pairs(connection, order),
    )


def _remove_words(facts: Facts) -> None:
    facts.promises = [structs.replace(promise, by=None, reason=None) for promise in facts.promises]
    facts.scans = [structs.replace(scan, note=None) for scan in facts.scans]
    facts.cancellations = [structs.replace(cancellation, reason=None) for cancellation in facts.cancellations]


def _corrected(answer: StoredAnswer, order: Order) -> StoredAnswer:
    """An answer with the correction that counts, which the table of answers does not have."""
    return structs.replace(answer, correction=order.dialogue.correction_of(answer.source, answer.id))


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


def _texts(connection: Connection, order_id: str, may_read_words: bool) -> list[StoredText]:
    names = ("received_at", "contact_id", "outcome", "reply", "text")
    query = select(*(inbound_messages.c[name] for name in names)).where(inbound_messages.c.order_id == order_id)
    rows = connection.execute(query.order_by(inbound_messages.c.received_at)).all()
    found = [StoredText(row.received_at, row.contact_id, row.outcome, row.reply, row.text.decode()) for row in rows]
    return found if may_read_words else [text._replace(reply=None, words=None) for text in found]


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
