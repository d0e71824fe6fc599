"""Silence about one order: nobody was asked, nobody answered, a message did not arrive.

Judged once, when the time to answer has passed for most people, so that answers and silence of the same orders are
counted on the same day: a depot that has a quiet week is not silent because of it.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from pipeline.domain.asking.eligibility import ENDED, WITHIN_REACH, Reason
from pipeline.domain.detection.pairs import UNANSWERED, UNASKED
from pipeline.domain.orders.dialogue import Dialogue

JUDGED_AFTER = timedelta(days=5)
"""How long after the decision whom to ask an order is judged. Few answer later."""
# Whoever was not asked for these reasons could have been: by our own rules, or because of the provider.
_NO_SILENCE = WITHIN_REACH | ENDED | {Reason.HISTORIC}


class Message(NamedTuple):
    """One message about the order, as far as its provider has reported.

    `route`: channel and recipient's country; "" if another system sent it, of which nothing is known.
    """

    route: str
    arrived: bool
    refused: bool
    """Whether the provider accepted and failed to deliver it, or refused it for good."""
    reports: bool
    """Whether the channel reports arrivals."""


def silences(dialogue: Dialogue, messages: Iterable[Message]) -> dict[str, float]:
    """`x` by signal, of the signals about which the order says something: 1 is silence."""
    found: dict[str, float] = {}
    unasked = _unasked(dialogue)
    if unasked is not None:
        found[UNASKED] = unasked
    # A message that did not arrive is no silence of the customer: the route answers for it.
    reached = any(message.arrived or not (message.refused or message.reports) for message in messages)
    if dialogue.answers:
        found[UNANSWERED] = 0.0
    elif reached:
        found[UNANSWERED] = 1.0
    return found


def undelivered(messages: Iterable[Message]) -> Mapping[str, float]:
    """By route, the share of the order's messages that did not arrive."""
    by_route: dict[str, list[float]] = {}
    for message in (one for one in messages if one.route):
        by_route.setdefault(message.route, []).append(float(not message.arrived))
    return {route: sum(xs) / len(xs) for route, xs in sorted(by_route.items())}


def _unasked(dialogue: Dialogue) -> float | None:
    """1 if nobody was asked for reasons that lie in the order's contacts; None if our own rules were the reason."""
    if dialogue.asks or dialogue.due:
        return 0.0
    reasons = {refusal.reason for refusal in dialogue.current_refusals()}
    return None if not reasons or reasons & _NO_SILENCE else 1.0
