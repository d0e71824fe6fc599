"""One segment at a time, folded by the product: how soon a fault is found, and whether it is called over too early."""

import random
import statistics
from dataclasses import dataclass

from pipeline.domain.detection.alerting import FIRST_RESOLVE_AT, Evidence, Pair, observe
from pipeline.domain.detection.baseline import DAYS_PER_YEAR, DELTA0
from pipeline.domain.detection.resolver import Resolver

HONEST_DAYS = 60
"""Days before the change."""
HONEST_RATE = 0.04
"""Share of answers about orders on time that say late by mistake."""
RECALL = 0.97
"""Share of answers about late orders that say late."""
GIVE_UP_DAYS = 3 * DAYS_PER_YEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Volumes of one segment: answers a day about orders claimed on time, accounts, share of its late orders."""

    answers: float = 3.0
    accounts: int = 25
    late: float = 0.15

    def rate_when_hiding(self, share: float) -> float:
        """P(customer says late | claimed on time) if that share of the late orders is claimed on time."""
        honest, hidden = 1.0 - self.late, share * self.late
        return (honest * HONEST_RATE + hidden * RECALL) / (honest + hidden)


@dataclass(frozen=True, slots=True)
class Found:
    """From the change to the alert: answers and days, up to and including the one that raised it."""

    pairs: int
    days: int


class _Segment:
    """The evidence of a simulated segment."""

    def __init__(self, company: Company, threshold: float, rng: random.Random) -> None:
        self.company = company
        self.threshold = threshold
        self.rng = rng
        self.evidence = Evidence()
        self.pairs: list[Pair] = []
        self._due = 0.0

    def day(self, day: int, rate: float) -> list[Pair]:
        """The answers of one day; fractions of an answer are spread over the days."""
        self._due += self.company.answers
        n, self._due = int(self._due), self._due % 1.0
        return [
            Pair(day, float(self.rng.random() < rate), DELTA0, str(self.rng.randrange(self.company.accounts)), "")
            for _ in range(n)
        ]

    def add(self, pair: Pair) -> bool:
        """Whether there is a divergence after this answer."""
        self.pairs.append(pair)
        observe(self.evidence, pair, self.threshold, lambda count: self.pairs[-count:])
        return self.evidence.alert is not None and self.evidence.alert.kind == "divergence"


def time_to_alert(company: Company, hidden: float, threshold: float, seed: int) -> Found | None:
    """How long it takes after a share of the late orders starts to be claimed on time; None: not in three years."""
    segment, rate = _Segment(company, threshold, random.Random(seed)), company.rate_when_hiding(hidden)
    counted = 0
    for day in range(HONEST_DAYS + GIVE_UP_DAYS):
        changed = day >= HONEST_DAYS
        for pair in segment.day(day, rate if changed else HONEST_RATE):
            counted += changed
            if segment.add(pair):
                if changed:
                    return Found(counted, day - HONEST_DAYS + 1)
                segment.evidence = Evidence()
    return None


def resolved_within_a_year(company: Company, rate: float, threshold: float, seed: int) -> tuple[bool, bool]:
    """Whether a fault that lasts is called resolved within a year of its alert: by the product, and at evidence 100."""
    segment = _Segment(company, threshold, random.Random(seed))
    opened: int | None = None
    early: Resolver | None = None
    too_early = False
    for day in range(20 * DAYS_PER_YEAR):
        if opened is not None and day > opened + DAYS_PER_YEAR:
            break
        for pair in segment.day(day, rate):
            if early is not None:
                too_early = too_early or early.step(pair.day, pair.x) >= FIRST_RESOLVE_AT
            is_open = segment.add(pair)
            if opened is None and is_open and segment.evidence.alert is not None:
                opened, early = day, Resolver(segment.evidence.alert.delta1)
            elif opened is not None and segment.evidence.alert is None:
                return True, True
    return False, too_early


def days_to_confirm_repair(company: Company, rate: float, threshold: float, seed: int) -> int | None:
    """Days until an alert resolves whose fault is repaired (4 % from then on) when it opens; None: not in 3 years."""
    segment = _Segment(company, threshold, random.Random(seed))
    opened: int | None = None
    for day in range(20 * DAYS_PER_YEAR):
        if opened is not None and day > opened + GIVE_UP_DAYS:
            break
        for pair in segment.day(day, HONEST_RATE if opened is not None else rate):
            is_open = segment.add(pair)
            if opened is None and is_open:
                opened = day
            elif opened is not None and segment.evidence.alert is None:
                return day - opened
    return None


def median(values: list[float]) -> float | None:
    """The median, where infinity counts as never; None if that is infinite."""
    middle = statistics.median(values)
    return None if middle == float("inf") else middle
