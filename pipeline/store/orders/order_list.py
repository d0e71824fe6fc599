"""Writes the list of orders: the row of each order that changed, its places in the indexes, and what search finds."""

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import Connection

from pipeline.domain.orders.facts import Facts
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.order_list import ListedOrder, Term, account_term, listed
from pipeline.store.db.bulk import insert, insert_new, remove, upsert
from pipeline.store.schema.orders import order_list, order_terms, search_parts

ORDER, ACCOUNT = "order", "account"  # kinds of `search_parts`
LONGEST_PART = 60  # bytes that the search compares
_MOST_PARTS = 12  # of one id or name
_LIST = ("order_id", "last_event_at", "day", "verdict", "reason", "counted", "codes", "membership")
_TERMS = ("term", "last_event_at", "order_id")
_PARTS = ("kind", "part", "subject")
_PART = re.compile(r"[^\W\d_]+|\d+")


class Place(Struct, frozen=True, array_like=True):
    """Where the indexes have an order. Stored with it, so that a later version removes what an earlier one added."""

    last_event_at: datetime
    terms: tuple[int, ...]


class Change(NamedTuple):
    """An order that is written, and where the indexes have it now; None: nowhere yet."""

    order: Order
    counts: Counts
    place: Place | None


Part = tuple[str, bytes, str]  # kind, beginning, id of the order or account: a row of `search_parts`


def write(connection: Connection, changes: Sequence[Change]) -> list[Place]:
    """Write the entries of these orders. Returns where the indexes have each of them now. `write_parts` follows."""
    entries = [listed(change.order, change.counts) for change in changes]
    places = [_place(entry) for entry in entries]
    rows = [_row(change.order.order_id, entry) for change, entry in zip(changes, entries, strict=True)]
    upsert(connection, order_list, rows, _LIST)
    moved = [
        (change.order.order_id, change.place, place)
        for change, place in zip(changes, places, strict=True)
        if change.place != place
    ]
    old = [key for order_id, before, _ in moved for key in _keys(order_id, before)]
    new = [key for order_id, _, after in moved for key in _keys(order_id, after)]
    kept = set(old) & set(new)
    remove(connection, order_terms, sorted(set(old) - kept), _TERMS)
    insert(connection, order_terms, sorted(set(new) - kept), _TERMS)
    return places


def write_parts(connection: Connection, parts: Collection[Part]) -> None:
    """Write what the search finds, once in a transaction and late: transactions with the same accounts wait here."""
    insert_new(connection, search_parts, [dict(zip(_PARTS, part, strict=True)) for part in sorted(parts)])


def search_parts_of(changes: Sequence[Change]) -> set[Part]:
    """What the search finds: an order when it is first heard of, its account when its `order.completed` is received."""
    found = {
        (ORDER, part, change.order.order_id)
        for change in changes
        if change.place is None
        for part in parts_of(change.order.order_id)
    }
    for change in changes:
        if change.order.facts.known and _is_new_to_account(change):
            found |= {(ACCOUNT, part, subject) for part, subject in _account_parts(change.order.facts)}
    return found


def term_digest(term: Term) -> int:
    """The number under which the index has a term."""
    return int.from_bytes(blake2b(str(term).encode(), digest_size=8).digest(), signed=True)


def parts_of(text: str) -> list[bytes]:
    """The beginnings under which an id or a name is found: of the whole, and of each word and number in it.

    A number is found without its leading zeros, too. Case does not count.
    """
    folded = text.casefold()
    starts = [0, *(found.start() for found in _PART.finditer(folded))]
    parts = [folded[start:] for start in starts]
    parts += [part.lstrip("0") for part in parts if part.startswith("0")]
    return [part.encode()[:LONGEST_PART] for part in list(dict.fromkeys(filter(None, parts)))[:_MOST_PARTS]]


def _place(entry: ListedOrder) -> Place:
    return Place(entry.last_event_at, tuple(sorted({term_digest(term) for term in entry.indexed})))


def _row(order_id: str, entry: ListedOrder) -> tuple[object, ...]:
    membership = "".join(map(str, entry.membership))
    numbers = (entry.counted, entry.codes)
    return (order_id, entry.last_event_at, entry.day, entry.verdict, entry.reason, *numbers, membership)


def _keys(order_id: str, place: Place | None) -> list[tuple[int, datetime, str]]:
    return [] if place is None else [(term, place.last_event_at, order_id) for term in place.terms]


def _is_new_to_account(change: Change) -> bool:
    """Whether the order had no account yet, or was reported again: then its account may be another one.

    An order that was only answered so far has terms, and no account.
    """
    revisions = change.order.facts.revisions
    if change.place is None or len(revisions) > 1:
        return True
    return term_digest(account_term(revisions[-1].account.id)) not in change.place.terms


def _account_parts(facts: Facts) -> Iterator[tuple[bytes, str]]:
    for account in (revision.account for revision in facts.revisions):
        for text in filter(None, (account.id, account.name)):
            for part in parts_of(text):
                yield part, account.id
