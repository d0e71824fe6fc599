"""Judges each order once, some days after it was decided whom to ask: was anybody asked, reached, and did they answer?

Only where questions are really sent, and never about a replayed past.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from pipeline.domain.asking.ask_states import REFUSED_FOR_GOOD, AskState
from pipeline.domain.asking.eligibility import Reason
from pipeline.domain.detection.pairs import UNDELIVERED
from pipeline.domain.detection.segments import ROUTE_LEVEL
from pipeline.domain.events.contract import Observation, SilenceObserved
from pipeline.domain.orders.facts import contact_of
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.silences import JUDGED_AFTER, Message, silences, undelivered
from pipeline.store.asks.ask_store import AskStatus
from pipeline.store.orders.timers import Timer
from pipeline.store.unit_of_work import UnitOfWork

SILENCE = "silence"
"""Kind of the timer at which an order is judged."""
_ARRIVED = frozenset({AskState.DELIVERED, AskState.ANSWERED})
_NO_COUNTRY = "other"


def watch(order: Order, work: UnitOfWork, now: datetime) -> None:
    """It was decided for the first time whom to ask about the order."""
    if work.setup.sending and not order.dialogue.decided_at:
        work.timers.set(SILENCE, order.order_id, "", now + JUDGED_AFTER)


def handle_silence(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """Publish what the order says about silence."""
    order = work.orders.get(timer.order_id)
    if not order.facts.known or order.facts.historic:
        return
    messages = list(_messages(order, work))
    where = order.dialogue.pairs_attribution or order.facts.attribution()
    _publish(order, where.dimensions, silences(order.dialogue, messages), "silence", work, now)
    for route, x in undelivered(messages).items():
        _publish(order, {ROUTE_LEVEL.name: route}, {UNDELIVERED: x}, f"silence:{route}", work, now)


def _publish(
    order: Order, dimensions: Mapping[str, str], xs: Mapping[str, float], name: str, work: UnitOfWork, now: datetime
) -> None:
    if not xs:
        return
    where = order.dialogue.pairs_attribution or order.facts.attribution()
    work.emit(
        "silence.observed",
        f"{order.order_id}:{name}",
        now,
        SilenceObserved(
            order_id=order.order_id,
            account_id=where.account_id,
            dimensions=dict(dimensions),
            observations={signal: Observation(x, now.toordinal()) for signal, x in xs.items()},
        ),
    )


def _messages(order: Order, work: UnitOfWork) -> Iterator[Message]:
    """The messages about the order that were sent, or that their provider refused; reminders do not count."""
    dialogue = order.dialogue
    tried = [(ask.contact_id, ask.purpose) for ask in dialogue.asks]
    tried += [(no.contact_id, no.purpose) for no in dialogue.current_refusals() if no.reason == Reason.REJECTED]
    for contact_id, purpose in dict.fromkeys(tried):
        status = work.asks.status_of(order.order_id, contact_id, purpose)
        if purpose != "reminder" and status is not None:
            yield _message(order, contact_id, status, work)


def _message(order: Order, contact_id: str, status: AskStatus, work: UnitOfWork) -> Message:
    if status.sending_at is None:  # another system sent it, and reports nothing
        return Message("", arrived=False, refused=False, reports=False)
    channel, contact = work.setup.policy.channel(status.channel), contact_of(order.facts, contact_id)
    refused = status.state is AskState.FAILED or status.outcome in REFUSED_FOR_GOOD
    reports = channel is not None and channel.reports_arrival
    arrived = status.delivered or status.state in _ARRIVED or not (refused or reports)
    country = None if contact is None else contact.country
    return Message(f"{status.channel} {country or _NO_COUNTRY}", arrived, refused, reports)
