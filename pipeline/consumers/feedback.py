"""What happens when a question went out, and when it is answered."""

from datetime import datetime

from pipeline.consumers import asking, comparing
from pipeline.domain.events.contract import OWN_SOURCE, BadEvent, Event, FeedbackReceived, FeedbackRequested
from pipeline.domain.orders.dialogue import Ask
from pipeline.domain.orders.order import Order
from pipeline.store.unit_of_work import UnitOfWork


def requested(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`feedback.requested`: a question went out.

    Somebody else's: the claim of this moment is frozen with it. Our own: a dispatcher froze the claim when it committed
    to send, and what it stored then is what counts. Where nothing is sent, our own are known already.
    """
    data: FeedbackRequested = event.data
    order = work.orders.get(data.order_id)
    if order.dialogue.asked(data.contact_id, data.purpose):
        return
    if event.source == OWN_SOURCE:
        _sent_by_us(event, order, work)
    elif not order.dialogue.awaits(data.contact_id, data.purpose):
        _sent_by_others(event, order, work)
    else:  # ours is on its way
        return
    if any(answer.contact_id == data.contact_id for answer in order.dialogue.answers):
        asking.answered(order, data.contact_id, work)
        comparing.compare(order, work, now)
    else:
        asking.expire_later(data.order_id, data.contact_id, data.purpose, work, event.time)


def _sent_by_us(event: Event, order: Order, work: UnitOfWork) -> None:
    data: FeedbackRequested = event.data
    stands = work.ask_of(data.order_id, data.contact_id, data.purpose)
    if stands is None or stands.put is None:
        raise BadEvent("no question of ours stands behind this; somebody else used our name", "source")
    sending_at, claim = stands.put
    order.dialogue.put(Ask(data.contact_id, data.purpose, sending_at, claim))
    if data.purpose != "reminder":
        asking.remind_later(data.order_id, data.contact_id, work, sending_at)


def _sent_by_others(event: Event, order: Order, work: UnitOfWork) -> None:
    data: FeedbackRequested = event.data
    dialogue = order.dialogue
    refused = dialogue.refused(data.contact_id, data.purpose)
    dialogue.put(Ask(data.contact_id, data.purpose, event.time, dialogue.claim))
    if refused:  # our own decision stands as it was recorded
        return
    answered = any(answer.contact_id == data.contact_id for answer in dialogue.answers)
    work.record_ask(
        {
            "order_id": data.order_id,
            "contact_id": data.contact_id,
            "purpose": data.purpose,
            "account_id": data.account_id or (order.facts.latest.account.id if order.facts.known else ""),
            "decided_at": event.time,
            "reason": None,
            "channel": data.channel,
            "state": asking.ANSWERED if answered else asking.SENT,
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
