"""The detector's day blocks and the settlement of pairs as the reference file defines them: another way to compute the
same numbers."""

from collections.abc import Iterable

import msgspec

from pipeline.domain.detection.detector import BETS, CAP_PER_ACCOUNT_DAY, may_count

_Five = tuple[float, float, float, float, float]


class Block(msgspec.Struct, frozen=True):
    """The effect of consecutive pairs on every bet's evidence: ``R_j -> a_j R_j + b_j``."""

    a: _Five = (1.0, 1.0, 1.0, 1.0, 1.0)
    b: _Five = (0.0, 0.0, 0.0, 0.0, 0.0)

    def apply(self, by_bet: Iterable[float]) -> list[float]:
        """The bets' evidence after the block, from the evidence before it."""
        return [a * r + b for a, b, r in zip(self.a, self.b, by_bet, strict=True)]


def pair_block(mass: int, x: float, delta: float) -> Block:
    """One pair, `mass` days after the previous one (1 for the first, 0 within a day)."""
    e = _five(1.0 - f + f * x / delta for f in BETS)
    return Block(a=e, b=_five(mass * factor for factor in e))


def day_block(mass: int, pairs: Iterable[tuple[float, float]]) -> Block:
    """The pairs of one day, each (x, delta), in order; `mass` days after the last day with pairs."""
    block = Block()
    for x, delta in pairs:
        block = compose(block, pair_block(mass, x, delta))
        mass = 0
    return block


def compose(first: Block, second: Block) -> Block:
    """`first`, then `second`: ``(a1 a2, a2 b1 + b2)`` per bet."""
    return Block(
        a=_five(a1 * a2 for a1, a2 in zip(first.a, second.a, strict=True)),
        b=_five(a2 * b1 + b2 for b1, a2, b2 in zip(first.b, second.a, second.b, strict=True)),
    )


def _five(values: Iterable[float]) -> _Five:
    a, b, c, d, e = values
    return a, b, c, d, e


class Answer(msgspec.Struct, frozen=True):
    """One stakeholder's answer about one order, on the day the server received it."""

    day: int
    order: str
    account: str
    claimed_well: bool
    x: float


class Settled(msgspec.Struct, frozen=True):
    """One order's observation, at the day of its first answer."""

    day: int
    order: str
    account: str
    x: float


def settle(answers: Iterable[Answer], cap: int = CAP_PER_ACCOUNT_DAY) -> list[Settled]:
    """From answers in order of receipt to observations in the order of the orders' first answers.

    x is the mean over the order's stakeholders.
    """
    first: dict[str, Answer] = {}
    counted: dict[tuple[str, int], int] = {}
    answered: dict[str, list[float]] = {}
    for answer in answers:
        if answer.order not in first:
            first[answer.order] = answer
            group = (answer.account, answer.day)
            if answer.claimed_well and may_count(counted.get(group, 0), cap):
                counted[group] = counted.get(group, 0) + 1
                answered[answer.order] = []
        if answer.order in answered:
            answered[answer.order].append(answer.x)
    return [Settled(first[order].day, order, first[order].account, sum(xs) / len(xs)) for order, xs in answered.items()]
