"""What both runners do alike: repeat a transaction without its poison messages, load in few queries, count."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from pipeline import metrics
from pipeline.domain.events.contract import BadEvent, Event, OrderCompleted
from pipeline.domain.orders.facts import Revision
from pipeline.store.unit_of_work import UnitOfWork

T = TypeVar("T")


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
    contacts = [contact for order in orders for contact in order.contacts]
    addresses = {address for contact in contacts for address in (contact.phone, contact.email) if address is not None}
    work.asks.load_history({order.account.id for order in orders}, addresses, clock)


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
