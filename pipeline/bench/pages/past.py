"""Writes the company's older orders in bulk, by the rules of the domain and through the store's tables.

What the runner would store for the same events, without what only evidence needs: pairs, alerts and events of our own.
The newest months go through the runner, so alerts and incidents are real. A test compares both ways row by row.
"""

from collections.abc import Iterable, Iterator

import msgspec
from sqlalchemy import Connection

from pipeline.bench.pages import company
from pipeline.domain.detection.segments import TOTAL, Level, Segment, segments_of
from pipeline.domain.events.contract import Event
from pipeline.domain.events.decoding import decode_stored
from pipeline.domain.orders.claims import claim_of
from pipeline.domain.orders.dialogue import Ask
from pipeline.domain.orders.facts import contact_of
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.counts import contribution
from pipeline.store.db.bulk import Row, insert
from pipeline.store.journal import state
from pipeline.store.journal.journal import Entry, Journal
from pipeline.store.orders import figures
from pipeline.store.orders.memberships import membership_text
from pipeline.store.orders.orders import add_to_accounts, list_existing
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.orders import claims, orders
from pipeline.store.schema.people import person_orders

ORDERS_A_TRANSACTION = 10_000
_encode = msgspec.json.Encoder(decimal_format="number").encode


def write(connection: Connection, journal: Journal, levels: tuple[Level, ...], made: Iterable[company.Order]) -> None:
    """Store these orders with their events in the caller's transaction, as processed."""
    known = [_Known(order) for order in made]
    entries = [entry for one in known for entry in one.entries]
    rows = [one.row(levels) for one in known]
    listed = list_existing(
        connection, [(one["order_id"], one["facts"], one["dialogue"], one["counted"]) for one in rows]
    )
    insert(connection, orders, [row | {"counted": listed[row["order_id"]]} for row in rows])
    insert(connection, claims, [one.claim_row for one in known])
    insert(connection, asks, [row for one in known for row in one.ask_rows])
    insert(connection, answers, [row for one in known for row in one.answer_rows])
    insert(connection, person_orders, [row for one in known for row in one.person_rows])
    journal.append(connection, entries, publish=False)
    add_to_accounts(connection, [(one["facts"], one["counted"]) for one in rows])
    figures.add(connection, _sums(known))
    state.put(connection, state.POSITION, str(journal.version(connection).head))
    state.advance(connection, state.CLOCK, entries[-1].received_at)


def chunks(made: Iterable[company.Order], size: int) -> Iterator[list[company.Order]]:
    """Up to `size` at once."""
    found: list[company.Order] = []
    for order in made:
        found.append(order)
        if len(found) == size:
            yield found
            found = []
    if found:
        yield found


class _Known:
    """One order as all of its events leave it, and the rows that follow from it."""

    def __init__(self, made: company.Order) -> None:
        self.order = Order(company.order_id(made.number))
        self.entries: list[Entry] = []
        self.ask_rows: list[Row] = []
        self.answer_rows: list[Row] = []
        self.cells: list[figures.Cell] = []
        self.counts: dict[str, int] = {}
        for incoming in company.day_of([made]):
            event = decode_stored(incoming.raw)
            _APPLY[event.type](self, event)
            self.entries.append(
                Entry(event.source, event.id, event.type, False, event.time, incoming.raw.decode(), self.order.order_id)
            )

    def completed(self, event: Event) -> None:
        self.order.facts.apply_completed(event)
        account = event.data.account.id
        contacts = event.data.contacts
        self.person_rows = [
            {"account_id": account, "contact_id": contact.id, "order_id": self.order.order_id} for contact in contacts
        ]

    def delivered(self, event: Event) -> None:
        self.order.facts.apply_scan(event)
        claim = self.order.dialogue.claim = claim_of(self.order.facts)
        self.order.dialogue.claim_revisions = 1
        where = {"order_id": self.order.order_id, "revision": 1, "recorded_at": event.time}
        self.claim_row = where | {"source": event.source, "event_id": event.id} | msgspec.structs.asdict(claim)

    def requested(self, event: Event) -> None:
        dialogue, data = self.order.dialogue, event.data
        dialogue.add_ask(Ask(data.contact_id, data.purpose, event.time, dialogue.claim))
        row = {"order_id": data.order_id, "contact_id": data.contact_id, "purpose": data.purpose}
        row |= {"account_id": self.order.facts.latest.account.id, "decided_at": event.time}
        contact = contact_of(self.order.facts, data.contact_id)
        row |= {"channel": data.channel, "state": "answered", "role": contact.role if contact else None}
        self.ask_rows.append(row)

    def answered(self, event: Event) -> None:
        self.order.dialogue.apply_answer(event)
        data = event.data
        row = {"source": event.source, "event_id": event.id, "order_id": data.order_id, "contact_id": data.contact_id}
        row |= {"received_at": event.time, "answered_at": data.answered_at, "channel": data.channel}
        row |= {"arrival": data.arrival, "complete": data.complete, "condition": ",".join(data.condition)}
        self.answer_rows.append(row | {"score": data.score.value, "scale": data.score.scale})

    def row(self, levels: tuple[Level, ...]) -> Row:
        facts = self.order.facts
        segments = [Segment(*TOTAL), *segments_of(facts.latest.dimensions, levels)]
        self.cells = [(segment.dimension, segment.value, facts.day()) for segment in segments]
        self.counts = contribution(self.order)
        return {
            "order_id": self.order.order_id,
            "facts": _encode(facts).decode(),
            "dialogue": _encode(self.order.dialogue).decode(),
            "counted": _encode({"places": self.cells, "counts": self.counts}).decode(),
            "memberships": membership_text(facts),
        }


_APPLY = {
    "order.completed": _Known.completed,
    "delivery.updated": _Known.delivered,
    "feedback.requested": _Known.requested,
    "feedback.received": _Known.answered,
}


def _sums(known: Iterable[_Known]) -> dict[figures.Cell, dict[str, int]]:
    sums: dict[figures.Cell, dict[str, int]] = {}
    for one in known:
        for cell in one.cells:
            into = sums.setdefault(cell, {})
            for counter, n in one.counts.items():
                into[counter] = into.get(counter, 0) + n
    return sums
