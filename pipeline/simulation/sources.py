"""Honest sources of events: office hours, nights, public holidays, short outages. How often are they called silent?

Judged by the product's own function. Seeds fix every figure.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from pipeline.domain.detection.source_silence import PAST, SLOT, Gap, silence_of

_DAY = timedelta(days=1) // SLOT
START = date(2024, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One honest source. `rate`: events in a quarter of an hour of its open hours, on an ordinary day."""

    name: str
    days: frozenset[int]
    hours: tuple[int, int]
    rate: float
    holidays: bool = True
    """Whether it is closed on public holidays."""
    shut_down: int = 0
    """Days from 24 December on in which it is closed."""


SOURCES = (
    Source(name="ERP, Monday to Friday", days=frozenset(range(5)), hours=(7, 19), rate=3.0),
    Source(name="small ERP, Monday to Friday, six orders a day", days=frozenset(range(5)), hours=(8, 17), rate=1 / 6),
    Source(name="warehouse, Monday to Saturday", days=frozenset(range(6)), hours=(5, 22), rate=2.0),
    Source(name="carrier, day and night", days=frozenset(range(7)), hours=(0, 24), rate=1.5, holidays=False),
    Source(name="nightly file", days=frozenset(range(5)), hours=(2, 3), rate=5.0),
)
SHUT = Source(name="closed from 24 December, ten days", days=frozenset(range(5)), hours=(7, 19), rate=3.0, shut_down=10)
# Public holidays of France that fall on the same day each year, and the distance of the others from Easter Sunday.
_FIXED = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25), (12, 26))
_OF_EASTER = (-2, 1, 39, 50)
_OUTAGES, _LONGEST_OUTAGE = 4, 16  # a year, and slots


def false_silences(source: Source, seed: int, years: int = 2) -> int:
    """How often an honest source is called silent."""
    sent = _sent(source, np.random.default_rng([seed, len(source.name)]), years)
    reported = list[Gap]()
    for before, after in pairwise(sent):
        if after - before <= 24:
            continue
        past = sent[bisect_left(sent, before - PAST // SLOT) : bisect_right(sent, before)]
        found = silence_of(past, range(past[0], sent[-1]), reported, sent[0], after - 1)
        if found.is_implausible:
            reported.append(Gap(before, after))
    return len(reported)


def found_after(source: Source, seed: int) -> float | None:
    """Days until a source that stops for good is called silent, from its last event; None: its past is too short."""
    sent = _sent(source, np.random.default_rng([seed, len(source.name)]), 1)
    past = sent[bisect_left(sent, sent[-1] - PAST // SLOT) :]
    limit = silence_of(past, range(past[0], past[-1] + 1), (), sent[0], sent[-1]).limit
    return None if limit is None else limit / _DAY


def _sent(source: Source, rng: np.random.Generator, years: int) -> list[int]:
    """The slots with events, counted from `START`."""
    slots = list[int]()
    closed = set(_closed(source, years))
    for day in range(365 * years):
        if (START + timedelta(days=day)).weekday() not in source.days or day in closed:
            continue
        first, last = (day * _DAY + hour * _DAY // 24 for hour in source.hours)
        slots += (first + np.flatnonzero(rng.poisson(source.rate, last - first))).tolist()
    outages = rng.integers(0, 365 * years * _DAY, _OUTAGES * years)
    lost = {int(at) + n for at in outages for n in range(int(rng.integers(1, _LONGEST_OUTAGE + 1)))}
    return [slot for slot in slots if slot not in lost]


def _closed(source: Source, years: int) -> Iterator[int]:
    for year in range(START.year, START.year + years + 1):
        if source.holidays:
            days = [date(year, month, day) for month, day in _FIXED]
            days += [_easter(year) + timedelta(days=distance) for distance in _OF_EASTER]
            yield from ((day - START).days for day in days)
        first = (date(year, 12, 24) - START).days
        yield from range(first, first + source.shut_down)


def _easter(year: int) -> date:
    """Easter Sunday (the anonymous Gregorian algorithm, Nature 1876)."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)


def pages_a_year(sources: Sequence[Source], seeds: Sequence[int], years: int = 2) -> float:
    """False silences of a fleet that has these sources, a year."""
    return sum(false_silences(source, seed, years) for source in sources for seed in seeds) / len(seeds) / years
