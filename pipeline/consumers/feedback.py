"""What happens when a question went out, and when it is answered."""

from datetime import datetime

from pipeline.consumers import asking, comparing
from pipeline.domain.events import Event, FeedbackReceived, FeedbackRequested
from pipeline.domain.orders import Ask, Order
from pipeline.store.unit_of_work import UnitOfWork


def requested(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`feedback.requested`: a question that somebody else sent. The claim of this moment is frozen with it.

    Our own questions come by here too and are known already.
    """
    data: FeedbackRequested = event.data
    order = work.orders.get(data.order_id)
    dialogue = order.dialogue
    if dialogue.asked(data.contact_id, data.purpose):
        return
    dialogue.asks.append(Ask(data.contact_id, data.purpose, event.time, dialogue.claim))
    answered = any(answer.contact_id == data.contact_id for answer in dialogue.answers)
    state = asking.ANSWERED if answered else asking.SENT
    if dialogue.refused(data.contact_id, data.purpose):  # our decision not to ask stands, the ask lives all the same
        work.set_ask_state(data.order_id, data.contact_id, data.purpose, state)
    else:
        _record(order, event, state, work)
    if answered:
        comparing.compare(order, work, now)
    else:
        asking.expire_later(data.order_id, data.contact_id, data.purpose, work, event.time)


def _record(order: Order, event: Event, state: str, work: UnitOfWork) -> None:
    data: FeedbackRequested = event.data
    work.record_ask(
        {
            "order_id": data.order_id,
            "contact_id": data.contact_id,
            "purpose": data.purpose,
            "account_id": data.account_id or (order.facts.latest.account.id if order.facts.known else ""),
            "decided_at": event.time,
            "reason": None,
            "channel": data.channel,
            "state": state,
        }
    )


def received(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`feedback.received`: one answer. A late one still counts, a later one of the same person replaces theirs."""
    data: FeedbackReceived = event.data
    order = work.orders.get(data.order_id)
    order.dialogue.hear(event)
    work.record_answer(
        {
            "source": event.source,
            "event_id": event.id,
            "order_id": data.order_id,
            "contact_id": data.contact_id,
            "received_at": now,
            "answered_at": data.answered_at,
            "channel": data.channel,
            "arrival": data.arrival,
            "arrived_at": data.arrived_at,
            "complete": data.complete,
            "condition": ",".join(data.condition),
            "score": data.score and data.score.value,
            "scale": data.score and data.score.scale,
            "comment": data.comment,
        }
    )
    asking.answered(order, data.contact_id, work)
    asking.respect_opt_outs(order, work, now)
    comparing.compare(order, work, now)
