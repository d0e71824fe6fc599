"""The facts of an order, from its events."""

from pipeline.domain.events.contract import Event
from pipeline.domain.orders.facts import Facts
from tests.support.builders import event


def facts_of(*raws: bytes) -> Facts:
    """The facts after these events."""
    facts = Facts()
    for raw in raws:
        apply(facts, event(raw))
    return facts


def apply(facts: Facts, received: Event) -> None:
    """Apply one event about an order."""
    learners = {
        "order.completed": facts.apply_completed,
        "order.repromised": facts.apply_repromised,
        "order.cancelled": facts.apply_cancelled,
        "delivery.updated": facts.apply_scan,
        "delivery.retracted": facts.apply_retracted,
    }
    learners[received.type](received)
