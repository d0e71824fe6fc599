"""Orders in the database, and the figures that follow from every change of an order."""

from collections.abc import Collection, Sequence
from functools import lru_cache

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import Connection, func, select

from pipeline.domain.detection.segments import TOTAL, Level, Segment, segments_of
from pipeline.domain.detection.spread import SegmentSums
from pipeline.domain.orders.cancellations import cancelled_of
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.endings import ending_of
from pipeline.domain.orders.facts import Facts, contact_of
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.accounts import sums
from pipeline.domain.reports.counts import CAUSE, contribution, difference
from pipeline.store.db.bulk import among, among_rows, upsert
from pipeline.store.orders import account_sums, figures, order_list
from pipeline.store.orders.figures import Cell
from pipeline.store.orders.memberships import membership_text
from pipeline.store.orders.order_list import Part, Place
from pipeline.store.schema.orders import orders, rollups

_encode = msgspec.json.Encoder(decimal_format="number").encode  # quantities as sources write them
_facts = msgspec.json.Decoder(Facts)
_dialogue = msgspec.json.Decoder(Dialogue)

_CONTACT_COUNTERS = ("clean", "clean:unreachable", "risk", "risk:unreachable")  # in the order of `SegmentSums`


class _Counted(Struct, frozen=True):
    """What an order has added to the rollups.

    Stored with the order, so that a later version of the rules subtracts exactly what an earlier version added.
    """

    cells: tuple[Cell, ...] = field(default=(), name="places")
    counts: dict[str, int] = {}
    place: Place | None = field(default=None, name="listed")
    """Where the list of orders has it; None: not yet."""


_counted = msgspec.json.Decoder(_Counted)


class _Loaded:
    """One order of this transaction, and its stored form."""

    __slots__ = ("account", "counted", "dialogue", "facts", "order", "size", "stored")

    def __init__(self, order: Order, facts: bytes, dialogue: bytes, counted: _Counted) -> None:
        self.order = order
        self.facts = facts
        self.dialogue = dialogue
        self.counted = self.stored = counted
        self.account = sums.place_of(order.facts, counted.counts)  # what it adds so far
        self.size = _size(order)

    def encode(self) -> bool:
        """Encode the order as it is now. Returns whether it differs from what is stored."""
        before = self.facts, self.dialogue
        self.facts, self.dialogue = _encode(self.order.facts), _encode(self.order.dialogue)
        return (self.facts, self.dialogue) != before or self.counted is not self.stored

    def change(self) -> order_list.Change:
        """What the list of orders has to write."""
        return order_list.Change(self.order, self.counted.counts, self.stored.place)

    def row(self, place: Place) -> tuple[str, str, str, str, str]:
        """The row to write, as it is stored from then on."""
        self.counted = self.stored = replace(self.counted, place=place)
        texts = self.facts.decode(), self.dialogue.decode(), _encode(self.counted).decode()
        return (self.order.order_id, *texts, membership_text(self.order.facts))


def _size(order: Order) -> tuple[object, ...]:
    """Differs whenever anything that counts has changed: lists only grow, except that due questions move on."""
    facts, dialogue = order.facts, order.dialogue
    return (
        dialogue.claim,
        len(facts.revisions),
        len(facts.promises),
        len(facts.cancellations),
        ending_of(facts) if dialogue.claim.delivered_at is None else None,
        cancelled_of(facts).late,  # also after a scan: what was called off had left
        len(dialogue.asks),
        len(dialogue.due),
        len(dialogue.refusals),
        len(dialogue.answers),
        dialogue.qr_answers,
        tuple(answer.correction and answer.correction.id for answer in dialogue.answers),
        len(dialogue.erased),
    )


class OrderStore:
    """The orders of one transaction. Every order that `get` returned is counted again and written by `flush`."""

    def __init__(self, connection: Connection, levels: tuple[Level, ...]) -> None:
        self._connection = connection
        self._levels = levels
        self._loaded: dict[str, _Loaded] = {}
        self._touched: dict[str, _Loaded] = {}
        self._unwritten: dict[str, _Loaded] = {}
        self._deltas: dict[Cell, dict[str, int]] = {}
        self._search_parts: set[Part] = set()
        self._accounts: dict[account_sums.Key, sums.Sums] = {}

    def load(self, order_ids: Collection[str]) -> None:
        """Read these orders in one query; unknown ones become new."""
        missing = [order_id for order_id in dict.fromkeys(order_ids) if order_id not in self._loaded]
        if not missing:
            return
        query = select(orders.c.order_id, orders.c.facts, orders.c.dialogue, orders.c.counted)
        for order_id, *texts in self._connection.execute(
            query.where(among(self._connection, orders.c.order_id, missing))
        ):
            facts, dialogue, counted = (text.encode() for text in texts)
            order = Order(order_id, _facts.decode(facts), _dialogue.decode(dialogue))
            self._loaded[order_id] = _Loaded(order, facts, dialogue, _counted.decode(counted))
        for order_id in missing:
            if order_id not in self._loaded:
                self._loaded[order_id] = _Loaded(Order(order_id), b"", b"", _Counted())

    def get(self, order_id: str) -> Order:
        """The order, to be changed in place."""
        loaded = self._loaded.get(order_id)
        if loaded is None:
            self.load([order_id])
            loaded = self._loaded[order_id]
        self._touched[order_id] = self._unwritten[order_id] = loaded
        return loaded.order

    def peek(self, order_id: str) -> Order:
        """A loaded order, to be read only."""
        return self._loaded[order_id].order

    def _count_touched(self) -> None:
        """Add the changes since the last call to the figures."""
        for loaded in self._touched.values():
            size = _size(loaded.order)
            if size == loaded.size:  # for example a scan in transit
                continue
            loaded.size = size
            before, after = loaded.counted, self._count(loaded.order)
            if before.cells == after.cells:
                self._add(after.cells, difference(before.counts, after.counts))
            else:  # another day or other dimensions: all counts move there
                self._add(before.cells, difference(before.counts, {}))
                self._add(after.cells, after.counts)
            loaded.counted = after
            account = sums.place_of(loaded.order.facts, after.counts)
            account_sums.note(self._accounts, loaded.account, account)
            loaded.account = account
        self._touched.clear()

    def recount(self, order_ids: Collection[str]) -> None:
        """Count these orders in the segments of the present levels, with the counters that they have added so far."""
        self.load(order_ids)
        for order_id in order_ids:
            loaded = self._loaded[order_id]
            before, facts = loaded.counted, loaded.order.facts
            if before.counts:
                dimensions = tuple(facts.latest.dimensions.items())
                after = _Counted(_cells(dimensions, facts.day(), self._levels), before.counts)
                if after.cells != before.cells:
                    self._add(before.cells, difference(before.counts, {}))
                    self._add(after.cells, after.counts)
                    loaded.counted = after
                    self._unwritten[order_id] = loaded

    def fleet(self, first_day: int, last_day: int) -> dict[str, int]:
        """The fleet's counters summed over those days, including what is not written yet."""
        self._count_touched()
        query = (
            select(rollups.c.counter, func.sum(rollups.c.n))
            .where(rollups.c.dimension == TOTAL[0], rollups.c.value == TOTAL[1])
            .where(rollups.c.day.between(first_day, last_day))
            .group_by(rollups.c.counter)
        )
        sums = {counter: int(n) for counter, n in self._connection.execute(query)}
        for (dimension, _, day), counts in self._deltas.items():
            if dimension == TOTAL[0] and first_day <= day <= last_day:
                for counter, n in counts.items():
                    sums[counter] = sums.get(counter, 0) + n
        return sums

    def contacts(self, dimension: str, first_day: int, last_day: int) -> list[SegmentSums]:
        """For each segment of a level the orders of those days with and without a contact (`spread.Contacts`)."""
        self._count_touched()
        query = (
            select(rollups.c.value, rollups.c.counter, func.sum(rollups.c.n))
            .where(rollups.c.dimension == dimension, rollups.c.day.between(first_day, last_day))
            .where(rollups.c.counter.in_(_CONTACT_COUNTERS))
            .group_by(rollups.c.value, rollups.c.counter)
        )
        sums = {(value, counter): int(n) for value, counter, n in self._connection.execute(query)}
        for (name, value, day), counts in self._deltas.items():
            if name == dimension and first_day <= day <= last_day:
                for counter in _CONTACT_COUNTERS:
                    sums[value, counter] = sums.get((value, counter), 0) + counts.get(counter, 0)
        segments = sorted({value for value, _ in sums})
        return [
            SegmentSums(value, *(sums.get((value, counter), 0) for counter in _CONTACT_COUNTERS)) for value in segments
        ]

    def completed(self, segments: Collection[Segment], first_day: int, last_day: int) -> dict[Segment, int]:
        """How many orders each segment completed in those days, including what is not written yet."""
        self._count_touched()
        wanted = set(segments)
        if not wanted:
            return {}
        key = (rollups.c.dimension, rollups.c.value)
        query = (
            select(*key, func.sum(rollups.c.n))
            .where(among_rows(self._connection, key, sorted(wanted)), rollups.c.day.between(first_day, last_day))
            .where(rollups.c.counter == "completed")
            .group_by(*key)
        )
        sums = {Segment(*row[:2]): int(row[2]) for row in self._connection.execute(query)}
        for (dimension, value, day), counts in self._deltas.items():
            segment = Segment(dimension, value)
            if segment in wanted and first_day <= day <= last_day:
                sums[segment] = sums.get(segment, 0) + counts.get("completed", 0)
        return sums

    def flush(self) -> None:
        """Write the orders that changed since the last call."""
        self._count_touched()
        changed = [loaded for loaded in self._unwritten.values() if loaded.encode()]
        self._unwritten.clear()
        changes = [loaded.change() for loaded in changed]
        self._search_parts |= order_list.search_parts_of(changes)
        places = order_list.write(self._connection, changes)
        rows = [loaded.row(place) for loaded, place in zip(changed, places, strict=True)]
        upsert(self._connection, orders, rows, ("order_id", "facts", "dialogue", "counted", "memberships"))

    def flush_shared(self) -> None:
        """Write what many transactions write: what the search finds, and figures. Called last: the others wait."""
        order_list.write_parts(self._connection, self._search_parts)
        self._search_parts.clear()
        account_sums.add(self._connection, self._accounts)
        figures.add(self._connection, self._deltas)

    def _count(self, order: Order) -> _Counted:
        counts = contribution(order)
        if not counts:
            return _Counted()
        facts = order.facts
        return _Counted(_cells(tuple(facts.dimensions.items()), facts.day(), self._levels), counts)

    def _add(self, cells: Sequence[Cell], counts: dict[str, int]) -> None:
        if not counts:
            return
        for cell in cells:
            sums = self._deltas.setdefault(cell, {})
            for counter, n in counts.items():
                sums[counter] = sums.get(counter, 0) + n


@lru_cache(maxsize=16_384)
def _cells(dimensions: tuple[tuple[str, str], ...], day: int, levels: tuple[Level, ...]) -> tuple[Cell, ...]:
    segments = [Segment(*TOTAL), *segments_of(dict(dimensions), levels)]
    return tuple((segment.dimension, segment.value, day) for segment in segments)


def language_and_timezone(connection: Connection, order_id: str, contact_id: str) -> tuple[str | None, str | None]:
    """The language and the time zone of a contact as the order names them now; None: not named."""
    facts = connection.execute(select(orders.c.facts).where(orders.c.order_id == order_id)).scalar()
    contact = None if facts is None else contact_of(_facts.decode(facts), contact_id)
    return (None, None) if contact is None else (contact.language, contact.timezone)


def add_to_accounts(connection: Connection, rows: Sequence[tuple[str, str]]) -> None:
    """Add orders to the sums of their accounts that are not in them. `rows`: facts and counted, as stored."""
    added: dict[account_sums.Key, sums.Sums] = {}
    for facts, counted in rows:
        account_sums.note(added, None, sums.place_of(_facts.decode(facts), _counted.decode(counted).counts))
    account_sums.add(connection, added)


def list_existing(connection: Connection, rows: Sequence[tuple[str, str, str, str]]) -> dict[str, str]:
    """Add orders that an earlier version stored to the list. `rows`: id, facts, dialogue and counted, as stored.

    Returns the new text of `counted` by order.
    """
    known = [
        (Order(order_id, _facts.decode(facts), _dialogue.decode(dialogue)), _counted.decode(counted))
        for order_id, facts, dialogue, counted in rows
    ]
    changes = [order_list.Change(order, counted.counts, None) for order, counted in known]
    places = order_list.write(connection, changes)
    order_list.write_parts(connection, order_list.search_parts_of(changes))
    return {
        order.order_id: _encode(replace(counted, place=place)).decode()
        for (order, counted), place in zip(known, places, strict=True)
    }


def count_causes(connection: Connection, order_ids: Collection[str]) -> None:
    """Add the counters of causes to the figures of orders that an earlier version counted without them."""
    query = select(orders.c.order_id, orders.c.facts, orders.c.dialogue, orders.c.counted)
    deltas: dict[Cell, dict[str, int]] = {}
    for order_id, *texts in connection.execute(
        query.where(among(connection, orders.c.order_id, sorted(order_ids)))
    ).all():
        facts, dialogue, counted = (text.encode() for text in texts)
        before = _counted.decode(counted)
        made = contribution(Order(order_id, _facts.decode(facts), _dialogue.decode(dialogue)))
        added = {name: n for name, n in made.items() if name.startswith(CAUSE) and name not in before.counts}
        if not before.cells or not added:
            continue
        for cell in before.cells:
            sums = deltas.setdefault(cell, {})
            for name, n in added.items():
                sums[name] = sums.get(name, 0) + n
        text = _encode(replace(before, counts=before.counts | added)).decode()
        connection.execute(orders.update().where(orders.c.order_id == order_id).values(counted=text))
    figures.add(connection, deltas)
