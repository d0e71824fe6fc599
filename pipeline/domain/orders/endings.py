"""How an order ended without a delivery: then nobody is asked "it was due, is it here?", and the figures show it."""

from enum import StrEnum

from pipeline.domain.orders.cancellations import cancelled_of
from pipeline.domain.orders.facts import Facts
from pipeline.domain.orders.parcels import delivery_of


class Ending(StrEnum):
    """Why nothing is to be expected."""

    CANCELLED = "cancelled"
    CANCELLED_LATE = "cancelled_late"  # after goods had left, or after the first promise had passed
    RETURNED = "returned"
    ZERO_PIECES = "zero_pieces"  # nothing was ordered, or the order itself says that nothing was delivered


def ending_of(facts: Facts) -> Ending | None:
    """How the order ended by the record; None: it is delivered, or still to be delivered."""
    if not facts.known:
        return None
    delivery = delivery_of(facts)
    if delivery.delivered_at is not None:
        return None
    cancelled = cancelled_of(facts)
    if cancelled.whole:
        return Ending.CANCELLED_LATE if cancelled.late else Ending.CANCELLED
    if delivery.returned:
        return Ending.RETURNED
    lines = facts.latest.lines
    if lines and not delivery.left and all(not line.ordered or line.delivered == 0 for line in lines):
        return Ending.ZERO_PIECES
    return None


def could_hide(facts: Facts, ending: Ending | None) -> bool:
    """Whether an order was taken off the record although a customer may have been let down."""
    if ending is Ending.ZERO_PIECES:
        return any(line.ordered for line in facts.latest.lines)
    return ending in (Ending.CANCELLED_LATE, Ending.RETURNED) or cancelled_of(facts).late
