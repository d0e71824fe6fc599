"""What happens when no delivery scan arrives: once the promise has passed, the customer is asked."""

from datetime import datetime, timedelta

from pipeline.consumers import asking, comparing
from pipeline.domain.asking.eligibility import Reason
from pipeline.domain.orders.endings import ending_of
from pipeline.domain.orders.facts import Facts
from pipeline.domain.orders.order import Order
from pipeline.store.orders.timers import Timer
from pipeline.store.unit_of_work import UnitOfWork

MISSING_SCAN = "missing_scan"
# An order that is first reported long after its promise would be asked about at once. What its source says next, in a
# request of its own, may be that it was delivered, returned or cancelled.
_SETTLES_WITHIN = timedelta(seconds=3)


def watch_for_scan(order: Order, work: UnitOfWork) -> None:
    """Ask once the first promise has passed, unless a delivery is recorded: leaving an order open avoids no question.

    The first promise, because moving the promise again and again would avoid the question, too. An order that ended
    without a delivery is not asked about while that stands.
    """
    facts = order.facts
    if not facts.known or facts.first_promise is None:
        return
    ending = ending_of(facts)
    if ending is not None:
        asking.withdraw_due(order, "missing_scan", Reason(ending), work)
    if ending is not None or order.dialogue.claim.delivered_at is not None:
        work.timers.cancel(MISSING_SCAN, order.order_id, "")
    elif not order.dialogue.probed:
        work.timers.set(MISSING_SCAN, order.order_id, "", _due_at(facts, facts.first_promise, work))


def _due_at(facts: Facts, first_promise: datetime, work: UnitOfWork) -> datetime:
    due_at = first_promise + work.setup.policy.probe_after
    received = [revision.received_at for revision in facts.revisions if revision.received_at is not None]
    return due_at if facts.historic or not received else max(due_at, min(received) + _SETTLES_WITHIN)


def handle_missing_scan(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """The promise has passed and no delivery is recorded: ask whether it arrived."""
    order = work.orders.get(timer.order_id)
    if ending_of(order.facts) is not None:
        return
    order.dialogue.probed = True
    if order.dialogue.claim.delivered_at is None:
        asking.ask(order, "missing_scan", work, now)
        comparing.observe_signs(order, work, now)
