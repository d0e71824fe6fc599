"""What one order says about the ways to embellish: observed once, when it is first known, and never changed by edits.

Three signals run through the same detector as the contradictions of customers. `x` is 1 for an order that shows the
sign, 0 for one that could have shown it and does not.
"""

from pipeline.domain.detection.pairs import EARLY, MOVED, NO_QUESTION
from pipeline.domain.orders.endings import could_hide, ending_of
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.counts import nobody_could_be_asked
from pipeline.domain.reports.embellishment import was_at_risk, was_missed, was_rescued, was_scanned_early


def new_signs(order: Order) -> dict[str, float]:
    """`x` by signal, of the signals that are known now and were not observed before."""
    found: dict[str, float] = {}
    for signal, observe in _OBSERVERS.items():
        if signal not in order.dialogue.signs:
            x = observe(order)
            if x is not None:
                found[signal] = x
    return found


def _moved(order: Order) -> float | None:
    """Of the orders delivered after their first promise: 1 if it was moved after it was missed, and then kept."""
    facts, delivered_at = order.facts, order.dialogue.claim.delivered_at
    if not facts.promises or not was_missed(facts.promises[0].by_when, delivered_at):
        return None
    first, last = facts.promises[0].by_when, facts.promises[-1].by_when
    return float(was_rescued(first, facts.moved_at, last, delivered_at))


def _early(order: Order) -> float | None:
    """Of the arrivals that customers state: 1 if it was over two hours after the scan. Several people: the mean."""
    scanned_at = order.dialogue.claim.delivered_at
    if scanned_at is None or not order.dialogue.answers:
        return None
    stated = [was_scanned_early(scanned_at, answer.arrived_at) for answer in order.dialogue.current_answers()]
    known = [early for early in stated if early is not None]
    return sum(known) / len(known) if known else None


def _no_question(order: Order) -> float | None:
    """Of the late and re-dated orders about which it was decided whom to ask: 1 if nobody could be asked."""
    facts, dialogue = order.facts, order.dialogue
    hidden = could_hide(facts, None if facts.historic else ending_of(facts))
    if not hidden and not (dialogue.asks or dialogue.due or dialogue.refusals):
        return None
    first = facts.promises[0].by_when if facts.promises else None
    delivered_at = dialogue.claim.delivered_at
    if not hidden and (first is None or not was_at_risk(first, facts.moved_at, delivered_at)):
        return None
    return float(nobody_could_be_asked(dialogue))


_OBSERVERS = {MOVED: _moved, EARLY: _early, NO_QUESTION: _no_question}
