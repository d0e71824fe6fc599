"""What both runners do alike: repeat a transaction without its poison messages, load in few queries, count."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from pipeline import metrics
from pipeline.consumers.intake import dead_letter_of_journal
from pipeline.domain.asking.channels import addresses_of
from pipeline.domain.asking.eligibility import address
from pipeline.domain.events.contract import BadEvent, Event, OrderCompleted
from pipeline.domain.events.tracking import numbers_in
from pipeline.domain.orders.facts import Revision
from pipeline.store.journal import dead_letters
from pipeline.store.journal.journal import find
from pipeline.store.people.contact_opt_outs import ContactKey
from pipeline.store.people.vault import Vault
from pipeline.store.unit_of_work import UnitOfWork

T = TypeVar("T")
BATCH_BYTES = 16 << 20
"""Bytes of events a transaction: while they are handled, events take several times that."""


class PoisonMessage(Exception):
    """An event that its processor refuses. `key` identifies it in the batch."""

    def __init__(self, key: int, bad: BadEvent) -> None:
        super().__init__(str(bad))
        self.key = key
        self.bad = bad


def without_poison(transaction: Callable[[], T], poison: dict[int, BadEvent]) -> T:
    """Run a transaction, and again for every poison message that it finds.

    A rollback undoes the other events of the batch too, so each one found is added to `poison`, which the transaction
    leaves out.
    """
    while True:
        try:
            return transaction()
        except PoisonMessage as found:
            poison[found.key] = found.bad


def load_ask_history(work: UnitOfWork, order_ids: Collection[str], events: Sequence[Event], clock: datetime) -> None:
    """Load what eligibility needs of every contact who may be asked about these orders or those of the events."""
    known = [work.orders.peek(order_id).facts for order_id in order_ids]
    orders: list[OrderCompleted | Revision] = [facts.latest for facts in known if facts.known and not facts.historic]
    orders += [event.data for event in events if isinstance(event.data, OrderCompleted) and not event.historic]
    contacts, policy = [contact for order in orders for contact in order.contacts], work.setup.policy
    theirs: dict[ContactKey, frozenset[str]] = {}
    for order in orders:
        for contact in order.contacts:
            key = order.account.id, contact.id
            theirs[key] = theirs.get(key, frozenset()) | addresses_of(contact)
    digests = frozenset[str]().union(*theirs.values())
    addresses = {to for contact in contacts if (to := address(contact, policy.channels_for(contact))) is not None}
    work.asks.load_history({order.account.id for order in orders}, addresses, digests, clock)
    work.asks.load_silent(theirs)


def numbers_of(events: Iterable[Event]) -> set[str]:
    """The tracking numbers in these events."""
    return {number for event in events for number in numbers_in(event.data)}


def orders_of(event: Event, work: UnitOfWork) -> set[str]:
    """The orders that an event may change: its own, and those that share a tracking number with it."""
    found = {order_id for number in numbers_in(event.data) for order_id in work.tracking.orders_of(number)}
    return found if event.data.order_id is None else found | {event.data.order_id}


def store_unclaimed(connection: Connection, vault: Vault, work: UnitOfWork) -> list[int]:
    """Store the dead letters of events whose tracking number leads to no order. Returns their sequence numbers."""
    rows, seqs = [], []
    for event, bad in work.unclaimed:
        stored = find(connection, event.source, event.id)
        if stored is not None:
            seqs.append(stored.seq)
            rows.append(dead_letter_of_journal(vault, stored.seq, stored.payload.encode(), bad, stored.received_at))
    dead_letters.store(connection, rows)
    metrics.DEAD.inc(len(rows))
    return seqs


def record_metrics(seconds: float, processed: Mapping[str, int], fired: Mapping[str, int]) -> None:
    """Count a committed batch: its duration, the events processed by type and the timers fired by kind."""
    metrics.BATCH_SECONDS.observe(seconds)
    for event_type, n in processed.items():
        metrics.PROCESSED.labels(event_type).inc(n)
    count_timers(fired)


def count_timers(fired: Mapping[str, int]) -> None:
    """Count fired timers by kind."""
    for kind, n in fired.items():
        metrics.TIMERS.labels(kind).inc(n)
