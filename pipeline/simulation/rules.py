"""The rules most dashboards use, for comparison: a rolling difference, and a z-test every day that is calibrated.

Both look at the last 28 days of each segment, once a day, and compare its share with a usual share.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.domain.detection.baseline import DAYS_PER_YEAR
from pipeline.simulation.screen import Floats

WINDOW_DAYS = 28
GAP = 0.05
"""The rolling rule raises an alarm above this difference, as a difference of shares."""
MIN_ANSWERS = 10
_CALIBRATION_YEARS = 4_000  # simulated segment-years


@dataclass(frozen=True, slots=True)
class Windows:
    """Answers of the last 28 days, by day and segment: their number and how many of them contradict."""

    n: Floats
    contradicting: Floats

    @classmethod
    def of(cls, n: Floats, contradicting: Floats) -> "Windows":
        """From the answers of each day (rows) in each segment (columns)."""
        return cls(_rolling(n), _rolling(contradicting))

    def gap(self, usual: Floats | float) -> Floats:
        """Share minus the usual share; minus infinity below ten answers."""
        enough = self.n >= MIN_ANSWERS
        found: Floats = np.where(enough, self.contradicting / np.maximum(self.n, 1.0) - usual, -np.inf)
        return found

    def z(self, usual: Floats | float) -> Floats:
        """The statistic of the one-sided z-test of a share; minus infinity below ten answers."""
        deviation = np.sqrt(np.maximum(self.n * usual * (1.0 - usual), 1e-12))
        found: Floats = np.where(self.n >= MIN_ANSWERS, (self.contradicting - self.n * usual) / deviation, -np.inf)
        return found


def alarms(statistic: Floats, limit: float) -> int:
    """How often a statistic rises above its limit: from one day to the next, in any segment."""
    above = statistic > limit
    return int((above[1:] & ~above[:-1]).sum() + above[0].sum())


def first_alarm(statistic: Floats, limit: float, start: int) -> Floats:
    """Days from `start` to the first alarm at or after it, by segment; infinity if there is none."""
    above = statistic[start:] > limit
    found: Floats = np.where(above.any(axis=0), above.argmax(axis=0) + 1.0, np.inf)
    return found


def calibrated_limit(usual: float, answers: float, segments: int, budget: float) -> float:
    """The limit of z at which equal, independent segments at the usual share alarm as often as the budget allows.

    `answers`: mean number a day and segment; `budget`: alarms a year for all segments. Simulated, with a fixed seed.
    """
    rng = np.random.default_rng(7)
    n = rng.poisson(answers, (DAYS_PER_YEAR + WINDOW_DAYS, _CALIBRATION_YEARS)).astype(np.float64)
    contradicting = rng.binomial(n.astype(np.int64), usual).astype(np.float64)
    highest = Windows.of(n, contradicting).z(usual)[WINDOW_DAYS:].max(axis=0)
    return float(np.quantile(highest, 1.0 - min(budget / segments, 0.5)))


def _rolling(daily: Floats) -> Floats:
    sums = np.cumsum(daily, axis=0)
    found: Floats = sums.copy()
    found[WINDOW_DAYS:] -= sums[:-WINDOW_DAYS]
    return found
