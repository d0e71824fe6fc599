"""Laying the claim beside the answer: revisions of the claim, and the pair that both make."""

from datetime import datetime

import msgspec

from pipeline.domain.detection.pairs import experience_of, settle, verdict
from pipeline.domain.events.contract import Event, FulfilmentCompared, Observation
from pipeline.domain.orders.claims import claim_of
from pipeline.domain.orders.order import Order
from pipeline.store.unit_of_work import UnitOfWork


def record_claim(order: Order, event: Event, work: UnitOfWork, now: datetime) -> None:
    """Append the claim if this event changed it: what operations says can be corrected, never rewritten."""
    claim = claim_of(order.facts)
    if claim == order.dialogue.claim:
        return
    order.dialogue.claim = claim
    order.dialogue.claims += 1
    work.record_claim(
        {
            "order_id": order.order_id,
            "revision": order.dialogue.claims,
            "recorded_at": now,
            "source": event.source,
            "event_id": event.id,
            **msgspec.structs.asdict(claim),
        }
    )


def compare(order: Order, work: UnitOfWork, now: datetime) -> None:
    """Tell the pair, as soon as the order, a question about it and an answer are all known."""
    facts, dialogue = order.facts, order.dialogue
    claim = dialogue.claim_when_asked()
    if claim is None or not facts.known or not dialogue.answers:
        return
    where = dialogue.placed_in or facts.whereabouts()
    experience = experience_of(dialogue.standing())
    changed = settle(order, claim, experience, now.toordinal())
    dialogue.placed.update({signal: placed for signal, (placed, _) in changed.items()})
    dialogue.compared += 1
    work.emit(
        "fulfilment.compared",
        f"{order.order_id}:{dialogue.compared}",
        now,
        FulfilmentCompared(
            order_id=order.order_id,
            account_id=where.account_id,
            dimensions=where.dimensions,
            claim=claim,
            experience=experience,
            verdict=verdict(claim, experience),
            observations={
                signal: Observation(placed.x, placed.day, previous) for signal, (placed, previous) in changed.items()
            },
        ),
    )
