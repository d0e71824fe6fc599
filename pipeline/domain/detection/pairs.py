"""The pair: the claim about one order, compared with what its customer experienced."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from pipeline.domain.answers.answer import Answer
from pipeline.domain.answers.scores import is_detractor
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.dialogue import CountedPair
from pipeline.domain.orders.order import Order

Verdict = Literal["agrees", "embellished", "understated", "not_comparable"]

ON_TIME = "on_time"
IN_FULL = "in_full"
EXPERIENCE = "experience"
MOVED = "moved"
EARLY = "early"
NO_QUESTION = "no_question"
SIGNS = (MOVED, EARLY, NO_QUESTION)
"""Ways to embellish, observed in the record and in answers (`reports.signs`)."""
UNASKED = "unasked"
UNANSWERED = "unanswered"
UNDELIVERED = "undelivered"
SILENCES = (UNASKED, UNANSWERED, UNDELIVERED)
"""Customers who are not heard, observed when the time to answer has passed (`reports.silences`)."""
SOURCE_SILENT = "source_silent"
"""A source of events that sends nothing any more (`source_silence`). It has no pairs."""
SIGNALS = (ON_TIME, IN_FULL, EXPERIENCE, *SIGNS, *SILENCES, SOURCE_SILENT)


class Experience(Struct, frozen=True):
    """What the customer's people state about an order. Each share is the mean over those who mention it, in [0, 1].

    `late`: late or never received. `incomplete`: not complete, damaged or wrong. `faulty`: that, or papers missing.
    `detractor`: by the score. None: not mentioned. `stakeholders`: number of people who answered.
    """

    late: float | None
    incomplete: float | None
    faulty: float | None
    detractor: float | None
    stakeholders: int


_NO_EXPERIENCE = Experience(None, None, None, None, 0)


def experience_of(answers: Sequence[Answer]) -> Experience:
    """The experience that the current answers state, one answer per stakeholder."""
    if not answers:
        return _NO_EXPERIENCE
    about_goods = [answer for answer in answers if answer.complete is not None or answer.condition]
    return Experience(
        _mean([float(answer.arrival != "on_time") for answer in answers if answer.arrival is not None]),
        _mean([float(_incomplete(answer)) for answer in about_goods]),
        _mean([float(_incomplete(answer) or bool(answer.condition)) for answer in about_goods]),
        _mean([float(is_detractor(answer.score)) for answer in answers if answer.score is not None]),
        len(answers),
    )


def _incomplete(answer: Answer) -> bool:
    """Missing papers alone do not count, whatever the reading says of completeness: the goods did arrive."""
    if answer.condition:
        return any(condition != "papers_missing" for condition in answer.condition)
    return answer.complete is False


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def observations(claim: Claim | None, experience: Experience) -> dict[str, float]:
    """`x` per signal: how far the customer contradicts a good claim, in [0, 1]. Other claims are not observed."""
    found: dict[str, float] = {}
    if claim is None:
        return found
    if claim.on_time and experience.late is not None:
        found[ON_TIME] = experience.late
    if claim.in_full and experience.incomplete is not None:
        found[IN_FULL] = experience.incomplete
    if claim.on_time and claim.in_full is not False and experience.detractor is not None:
        found[EXPERIENCE] = experience.detractor
    return found


def verdict(claim: Claim | None, experience: Experience) -> Verdict:
    """`embellished`: good claim, bad experience in any respect; `understated`: bad claim, good experience.

    `not_comparable`: the answers say nothing about what was claimed, so they neither contradict nor confirm it.
    """
    about_good, about_bad = observations(claim, experience).values(), _about_bad_claims(claim, experience)
    if any(x >= 0.5 for x in about_good):
        return "embellished"
    if any(x < 0.5 for x in about_bad):
        return "understated"
    return "agrees" if about_good or about_bad else "not_comparable"


def verdict_of(order: Order) -> Verdict | None:
    """The verdict on an order as it is now; None unless there are a frozen claim and an answer to compare."""
    claim = order.dialogue.claim_when_asked()
    if claim is None or not order.dialogue.answers:
        return None
    return verdict(claim, experience_of(order.dialogue.current_answers()))


def _about_bad_claims(claim: Claim | None, experience: Experience) -> list[float]:
    """How bad the experience was in the respects that were claimed as bad, in [0, 1]; those not mentioned omitted."""
    if claim is None:
        return []
    respects = ((claim.on_time, experience.late), (claim.in_full, experience.incomplete))
    return [x for claimed, x in respects if claimed is False and x is not None]


def pair_changes(
    order: Order, claim: Claim, experience: Experience, today: int
) -> dict[str, tuple[CountedPair, float | None]]:
    """The pairs that an answer adds or changes: per signal the pair now, and its `x` before (None: a new pair).

    `claim` is the claim frozen with the question; `today` the ordinal of the day of receipt. A pair keeps the day of
    its first answer.
    """
    changed: dict[str, tuple[CountedPair, float | None]] = {}
    for signal, x in observations(claim, experience).items():
        before = order.dialogue.pairs.get(signal)
        if before is None:
            changed[signal] = (CountedPair(today, x), None)
        elif before.x != x:
            changed[signal] = (CountedPair(before.day, x), before.x)
    return changed
