"""The detector for many segments at once: which of them ever cross, so that only those are folded pair by pair.

The same recursion as `domain.detection.detector`, vectorised; a test compares them. A segment whose evidence never
reaches A has no alert at all, whatever the gates say.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.domain.detection.detector import BETS

Floats = NDArray[np.float64]
_BETS: Floats = np.array(BETS)


def largest_evidence(days: Sequence[Floats], xs: Sequence[Floats], deltas: Sequence[Floats]) -> Floats:
    """The largest R, in days, that each segment reaches; for each its pairs in order of receipt. No pairs: 0."""
    order = sorted(range(len(xs)), key=lambda place: -len(xs[place]))  # the longest first: the active ones are a prefix
    lengths = np.array([len(xs[place]) for place in order])
    longest = int(lengths[0]) if len(order) else 0
    day, x, delta = (_padded([arrays[place] for place in order], longest) for arrays in (days, xs, deltas))
    evidence: Floats = np.zeros((len(order), len(BETS)))
    highest: Floats = np.zeros(len(order))
    last: Floats = np.zeros(len(order))
    for step in range(longest):
        active = int(np.searchsorted(-lengths, -step))  # those with more than `step` pairs
        mass = np.ones(active) if step == 0 else np.maximum(day[step, :active] - last[:active], 0.0)
        last[:active] = day[step, :active] if step == 0 else np.maximum(last[:active], day[step, :active])
        odds = x[step, :active] / delta[step, :active]
        factors = 1.0 - _BETS + _BETS * odds[:, None]
        evidence[:active] = (evidence[:active] + mass[:, None]) * factors
        np.maximum(highest[:active], evidence[:active].mean(axis=1), out=highest[:active])
        np.minimum(evidence[:active], 1e300, out=evidence[:active])
    found: Floats = np.zeros(len(order))
    found[order] = highest
    return found


def _padded(arrays: Sequence[Floats], longest: int) -> Floats:
    """One row per step, one column per segment; beyond its end a segment has ones."""
    table: Floats = np.ones((longest, len(arrays)))
    for column, values in enumerate(arrays):
        table[: len(values), column] = values
    return table
