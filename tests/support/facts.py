"""The facts of an order, from its events."""

import msgspec
from msgspec.structs import replace

from pipeline.domain.events.contract import Event
from pipeline.domain.orders.facts import Facts
from tests.support.builders import event


def facts_of(*raws: bytes) -> Facts:
    """The facts after these events."""
    facts = Facts()
    for raw in raws:
        apply(facts, event(raw))
    return facts


def without_places(stored: str) -> str:
    """Stored facts without their places in the journal: they depend on the processing."""
    facts = msgspec.json.decode(stored, type=Facts)
    facts.revisions = [replace(one, place=0) for one in facts.revisions]
    facts.promises = [replace(one, place=0) for one in facts.promises]
    return msgspec.json.Encoder(decimal_format="number").encode(facts).decode()


def without_receipts(stored: str) -> str:
    """Stored facts without when each of them was received, and its place in the journal."""
    facts = msgspec.json.decode(stored, type=Facts)
    facts.revisions = [replace(one, place=0, received_at=None) for one in facts.revisions]
    facts.promises = [replace(one, place=0, received_at=None) for one in facts.promises]
    facts.scans = [replace(one, received_at=None) for one in facts.scans]
    return msgspec.json.Encoder(decimal_format="number").encode(facts).decode()


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
