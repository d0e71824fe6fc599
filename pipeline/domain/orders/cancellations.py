"""What was cancelled of an order, and whether that was so late that it could hide something."""

from decimal import Context, Decimal, localcontext
from typing import NamedTuple

import msgspec

from pipeline.domain.events.contract import Line
from pipeline.domain.orders.facts import Cancellation, Facts
from pipeline.domain.orders.parcels import delivery_of

EXACT = Context(prec=400)  # digits: enough for any quantity within the bounds of the contract
_NOTHING = Decimal(0)


class Cancelled(NamedTuple):
    """What is cancelled. `late`: after goods had left, or after the first promise had passed."""

    whole: bool
    late: bool


NOT_CANCELLED = Cancelled(False, False)


def cancelled_of(facts: Facts) -> Cancelled:
    """What is cancelled by the events that count (`in_force`). An order whose every line is cancelled is, too."""
    found = in_force(facts)
    if not found or not facts.known:
        return NOT_CANCELLED
    first = facts.first_promise
    whole = any(one.lines is None for one in found) or _nothing_remains(facts, found)
    late = delivery_of(facts).left or (first is not None and any(one.known_at > first for one in found))
    return Cancelled(whole, late)


def in_force(facts: Facts) -> list[Cancellation]:
    """The cancellations that count: a later revision reinstates what the order had before it was cancelled.

    A revision counts as one only if another came before the cancellation: an order may be cancelled before we hear of
    it.
    """
    if not facts.cancellations or not facts.known:
        return facts.cancellations
    first, last = (revision.time for revision in (facts.revisions[0], facts.revisions[-1]))
    return [one for one in facts.cancellations if not first <= one.time < last]


def _nothing_remains(facts: Facts, found: list[Cancellation]) -> bool:
    ordered = any(line.ordered for line in facts.latest.lines)
    return ordered and not any(line.ordered for line in _remaining(facts, found))


def lines_of(facts: Facts) -> list[Line]:
    """The lines that are to be delivered: without cancelled quantities, except if everything is cancelled.

    If a cancelled order is delivered all the same, its claim is about what was ordered.
    """
    remaining = _remaining(facts, in_force(facts))
    return remaining if any(line.ordered for line in remaining) else facts.latest.lines


def _remaining(facts: Facts, cancellations: list[Cancellation]) -> list[Line]:
    """The lines without what was cancelled of them."""
    off = _cancelled_quantities(cancellations)
    remaining = []
    with localcontext(EXACT):
        for line in facts.latest.lines:
            if line.sku not in off:
                remaining.append(line)
                continue
            quantity = off[line.sku]
            if quantity is not None and quantity < line.ordered:
                remaining.append(msgspec.structs.replace(line, ordered=line.ordered - quantity))
            if quantity is not None:  # the rest is of another line of that article
                off[line.sku] = max(_NOTHING, quantity - line.ordered)
    return remaining


def _cancelled_quantities(cancellations: list[Cancellation]) -> dict[str, Decimal | None]:
    """By article, the cancelled quantity; None: all of it."""
    off: dict[str, Decimal | None] = {}
    with localcontext(EXACT):
        for line in [line for one in cancellations for line in one.lines or ()]:
            before = off.get(line.sku, _NOTHING)
            off[line.sku] = None if before is None or line.cancelled is None else before + line.cancelled
    return off
