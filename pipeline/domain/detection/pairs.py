"""The pair: the claim of one order beside what its customer says of it."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from pipeline.domain.answers.scores import is_detractor
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.dialogue import Answer, Placed
from pipeline.domain.orders.order import Order

Verdict = Literal["agrees", "embellished", "understated"]

ON_TIME = "on_time"
IN_FULL = "in_full"
EXPERIENCE = "experience"
SIGNALS = (ON_TIME, IN_FULL, EXPERIENCE)


class Experience(Struct, frozen=True):
    """What the customer's people say of an order, each figure the mean of `stakeholders` who spoke of it, in [0, 1].

    `late`: late or never came. `incomplete`: not complete, damaged or wrong. `faulty`: that, or papers missing.
    `detractor`: by the score. None: unsaid.
    """

    late: float | None
    incomplete: float | None
    faulty: float | None
    detractor: float | None
    stakeholders: int


_SILENCE = Experience(None, None, None, None, 0)


def experience_of(answers: Sequence[Answer]) -> Experience:
    """The experience told by the standing answers, one per stakeholder."""
    if not answers:
        return _SILENCE
    return Experience(
        _mean([float(a.arrival != "on_time") for a in answers if a.arrival is not None]),
        _mean([float(_incomplete(a)) for a in answers if a.complete is not None or a.condition]),
        _mean([float(_incomplete(a) or bool(a.condition)) for a in answers if a.complete is not None or a.condition]),
        _mean([float(is_detractor(a.score)) for a in answers if a.score is not None]),
        len(answers),
    )


def _incomplete(answer: Answer) -> bool:
    """Papers missing is a complaint of its own: the goods did come."""
    return answer.complete is False or any(said != "papers_missing" for said in answer.condition)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def observations(claim: Claim | None, experience: Experience) -> dict[str, float]:
    """`x` per signal: how far the customer contradicts what was claimed. Only what was claimed well is observed."""
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
    """`embellished`: claimed well and lived badly in any respect; `understated`: claimed badly and lived well."""
    if any(x >= 0.5 for x in observations(claim, experience).values()):
        return "embellished"
    if claim is not None and (
        (claim.on_time is False and experience.late is not None and experience.late < 0.5)
        or (claim.in_full is False and experience.incomplete is not None and experience.incomplete < 0.5)
    ):
        return "understated"
    return "agrees"


def settle(order: Order, claim: Claim, experience: Experience, today: int) -> dict[str, tuple[Placed, float | None]]:
    """The pairs that an answer settles or changes: per signal where it stands now, and its `x` before (None: new).

    `claim` is the one that stood when the question was sent; `today` the ordinal of the day of receipt. A pair stays
    where its first answer stood.
    """
    changed: dict[str, tuple[Placed, float | None]] = {}
    for signal, x in observations(claim, experience).items():
        before = order.dialogue.placed.get(signal)
        if before is None:
            changed[signal] = (Placed(today, x), None)
        elif before.x != x:
            changed[signal] = (Placed(before.day, x), before.x)
    return changed
