"""How much honest segments of one level differ, and what the other segments' rate is: frozen once a month.

Source of the formulas: docs/statistics.md, "The baseline".
"""

import math
from collections.abc import Iterable, Sequence

import msgspec

SPREAD_DAYS = 180
"""Days before the month from which the spread is estimated."""
RATE_DAYS = 90
"""Days before the month from which the others' rate is estimated."""
SPREAD_MIN_PAIRS = 20
"""Pairs in the trailing 180 days below which a segment says nothing about the honest spread."""
SPREAD_MIN_SEGMENTS = 3
"""Other segments below which the honest spread cannot be estimated and counts as 0."""


class SegmentSums(msgspec.Struct, frozen=True, array_like=True):
    """What one segment had before the month: number and sum of x of its pairs in the trailing 180 and 90 days."""

    value: str
    n: int
    total: float
    recent_n: int = 0
    recent_total: float = 0.0


_Sums = tuple[float, float, float, float]
_NOTHING: _Sums = (0.0, 0.0, 0.0, 0.0)


class Spread:
    """The segments of one level at the start of a month.

    The rows are sorted and summed from both ends, so that leaving one segment out neither depends on their order nor
    subtracts anything.
    """

    def __init__(self, rows: Iterable[SegmentSums]) -> None:
        rows = sorted(rows, key=lambda row: row.value)
        self._differing = _Others(
            {
                r.value: (float(r.n), r.total, r.total * r.total / r.n, float(r.n) * r.n)
                for r in rows
                if r.n >= SPREAD_MIN_PAIRS
            }
        )
        self._recent = _Others({r.value: (float(r.recent_n), r.recent_total, 0.0, 0.0) for r in rows})

    def tau(self, value: str) -> float:
        """Standard deviation of the rate between the segments other than `value`; 0 with fewer than 3 of them.

        ``tau^2 = max(0, (sum n_i (p_i - mu)^2 - (k - 1) mu (1 - mu)) / (N - sum n_i^2 / N))``, mu their common rate.
        A segment that has no row leaves nothing out.
        """
        count, (n, total, weighted, squares) = self._differing.without(value)
        if count < SPREAD_MIN_SEGMENTS:
            return 0.0
        mu = total / n
        between = weighted - total * mu  # sum n_i (p_i - mu)^2
        return math.sqrt(max(0.0, (between - (count - 1) * mu * (1.0 - mu)) / (n - squares / n)))

    def own(self, value: str) -> tuple[int, float]:
        """Number and sum of x of the segment's own pairs in the trailing 90 days."""
        n, total, _, _ = self._recent.of(value)
        return int(n), total

    def others(self, value: str) -> tuple[int, float]:
        """Number and sum of x of the other segments' pairs in the trailing 90 days."""
        _, (n, total, _, _) = self._recent.without(value)
        return int(n), total


class Contacts:
    """Which segments' orders had nobody who could be asked, in the 90 days before a month.

    In its rows `n` and `total` are the orders without any problem and those of them without a contact; `recent_n` and
    `recent_total` the late and re-dated orders and those of them without a contact.
    """

    def __init__(self, rows: Iterable[SegmentSums]) -> None:
        self._rows = {row.value: row for row in rows}
        self._clean = sum(row.n for row in self._rows.values())
        self._clean_missing = sum(round(row.total) for row in self._rows.values())
        self._risk = sum(row.recent_n for row in self._rows.values())
        self._risk_missing = sum(round(row.recent_total) for row in self._rows.values())

    def explained(self, value: str) -> float:
        """The share of late orders without a contact that the segment's own customers explain.

        Its share of clean orders without one, times the others' risk ratio ``((a+1/2)/(b+1)) / ((c+1/2)/(d+1))``: a
        depot of customers without phones hides nothing. 0 where the segment has no clean order.
        """
        own = self._rows.get(value)
        if own is None or not own.n:
            return 0.0
        a, b = self._risk_missing - own.recent_total, self._risk - own.recent_n
        c, d = self._clean_missing - own.total, self._clean - own.n
        ratio = ((a + 0.5) / (b + 1)) / ((c + 0.5) / (d + 1)) if b and d else 1.0
        return (own.total + 0.5) / (own.n + 1) * ratio


class _Others:
    """Sums of figures by segment, of all but one."""

    def __init__(self, figures: dict[str, _Sums]) -> None:
        self._figures = figures
        self._place = {value: place for place, value in enumerate(figures)}
        ordered = list(figures.values())
        self._before = _running_sums(ordered)
        self._after = _running_sums(ordered[::-1])[::-1]

    def of(self, value: str) -> _Sums:
        """The figures of one segment; zeros if it has none."""
        return self._figures.get(value, _NOTHING)

    def without(self, value: str) -> tuple[int, _Sums]:
        """How many other segments there are, and their sums."""
        place = self._place.get(value)
        if place is None:
            return len(self._place), self._before[-1]
        (a, b, c, d), (e, f, g, h) = self._before[place], self._after[place + 1]
        return len(self._place) - 1, (a + e, b + f, c + g, d + h)


def _running_sums(figures: Sequence[_Sums]) -> list[_Sums]:
    """The sums of the first 0, 1, 2, ... rows."""
    sums = [_NOTHING]
    for a, b, c, d in figures:
        n, total, weighted, squares = sums[-1]
        sums.append((n + a, total + b, weighted + c, squares + d))
    return sums
