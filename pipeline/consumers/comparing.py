"""Compares the claim with the answer: revisions of the claim, and the pair that both make."""

from datetime import datetime

import msgspec

from pipeline.domain.detection.pairs import experience_of, pair_changes, verdict
from pipeline.domain.events.contract import EmbellishmentObserved, Event, FulfilmentCompared, Observation
from pipeline.domain.orders.claims import claim_of
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.signs import new_signs
from pipeline.store.unit_of_work import UnitOfWork


def record_claim(order: Order, event: Event, work: UnitOfWork, now: datetime) -> None:
    """Append a revision if this event changed the claim: a claim can be corrected, but earlier revisions stay."""
    claim = claim_of(order.facts)
    if claim == order.dialogue.claim:
        return
    order.dialogue.claim = claim
    order.dialogue.claim_revisions += 1
    work.record_claim(
        {
            "order_id": order.order_id,
            "revision": order.dialogue.claim_revisions,
            "recorded_at": now,
            "source": event.source,
            "event_id": event.id,
            **msgspec.structs.asdict(claim),
        }
    )


def observe_signs(order: Order, work: UnitOfWork, now: datetime) -> None:
    """Publish what the order says about ways to embellish, as soon as it is known: later edits change nothing of it."""
    if not order.facts.known or now.toordinal() < work.setup.rules_since:
        return
    signs = new_signs(order)
    if not signs:
        return
    order.dialogue.signs.update(signs)
    where = order.dialogue.pairs_attribution or order.facts.attribution()
    work.emit(
        "embellishment.observed",
        ":".join([order.order_id, *sorted(signs)]),
        now,
        EmbellishmentObserved(
            order_id=order.order_id,
            account_id=where.account_id,
            dimensions=where.dimensions,
            observations={signal: Observation(x, now.toordinal()) for signal, x in signs.items()},
        ),
    )


def compare(order: Order, work: UnitOfWork, now: datetime) -> None:
    """Publish the pair once the order, a question about it and an answer are all known, and again when it changes."""
    facts, dialogue = order.facts, order.dialogue
    claim = dialogue.claim_when_asked()
    if claim is None or not facts.known or not dialogue.answers:
        return
    where = dialogue.pairs_attribution or facts.attribution()
    experience = experience_of(dialogue.current_answers())
    changed = pair_changes(order, claim, experience, now.toordinal())
    dialogue.pairs.update({signal: pair for signal, (pair, _) in changed.items()})
    dialogue.comparisons += 1
    work.emit(
        "fulfilment.compared",
        f"{order.order_id}:{dialogue.comparisons}",
        now,
        FulfilmentCompared(
            order_id=order.order_id,
            account_id=where.account_id,
            dimensions=where.dimensions,
            claim=claim,
            experience=experience,
            verdict=verdict(claim, experience),
            observations={
                signal: Observation(pair.x, pair.day, previous) for signal, (pair, previous) in changed.items()
            },
        ),
    )
