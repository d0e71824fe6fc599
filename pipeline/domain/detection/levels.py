"""The levels of an installation over time: those of its first start, and every change since, each from a UTC day on.

A pair is judged by the threshold of its evidence day, so a change never judges an earlier day again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from pipeline.domain.detection import baseline
from pipeline.domain.detection.segments import Level

ALWAYS = 0
"""The first day of what the first start configured, and of changes before any event."""


class LevelChange(NamedTuple):
    """A level that is added, gets another `capacity`, or is removed (`capacity` None).

    `day`: the UTC day, as an ordinal, from which thresholds follow from it; None while it is in progress.
    """

    level: str
    capacity: int | None
    day: int | None


class LevelUse(NamedTuple):
    """A watched level, its capacity, and the number of segments seen so far."""

    level: str
    capacity: int
    segments: int

    @property
    def exceeded(self) -> bool:
        """Whether it has more segments than its threshold is made for: more false alerts than promised are possible."""
        return self.segments > self.capacity

    @property
    def suggestion(self) -> Level:
        """The level with room for a quarter more segments than there are."""
        return Level(self.level, self.segments + self.segments // 4)

    def false_alerts_a_year(self, levels: int, budget: float) -> float:
        """The bound that holds for this level: its share of the budget, times segments per capacity."""
        return budget / levels * self.segments / self.capacity


class Threshold(NamedTuple):
    """The threshold A of a level's segments, in days: each step is its first day and A, infinite while not judged."""

    steps: tuple[tuple[int, float], ...]

    def on(self, day: int) -> float:
        """A on a day of the evidence."""
        return next((limit for first, limit in reversed(self.steps) if first <= day), math.inf)

    def falls(self, after: int, until: int) -> list[tuple[int, float]]:
        """The steps to a smaller A whose first day is later than `after` and not later than `until`."""
        if len(self.steps) == 1:
            return []
        limits = [math.inf, *(limit for _, limit in self.steps)]
        return [
            (first, limit)
            for (first, limit), before in zip(self.steps, limits, strict=False)
            if limit < before and after < first <= until
        ]


def constant(limit: float) -> Threshold:
    """A threshold that never changes."""
    return Threshold(((ALWAYS, limit),))


@dataclass(frozen=True)
class LevelHistory:
    """The levels of the first start and their changes, oldest first."""

    first: tuple[Level, ...]
    changes: tuple[LevelChange, ...] = ()

    @cached_property
    def watched(self) -> tuple[Level, ...]:
        """The levels whose evidence is counted now, and which pages and reports offer."""
        gone = {change.level for change in self.changes if change.day is None and change.capacity is None}
        return tuple(level for level in self._generations[-1][1] if level.name not in gone)

    @cached_property
    def figured(self) -> tuple[Level, ...]:
        """The levels whose figures are counted now: those that are being added, too."""
        added = [
            Level(change.level, change.capacity)
            for change in self.changes
            if change.day is None and change.capacity is not None
        ]
        return (*self.watched, *added)

    @cached_property
    def known(self) -> tuple[Level, ...]:
        """All levels that ever were, each with its last capacity."""
        levels = {level.name: level for level in self.first}
        for change in self.changes:
            if change.capacity is not None:
                levels[change.level] = Level(change.level, change.capacity)
        return tuple(levels.values())

    def is_used(self, name: str) -> bool:
        """Whether a level is watched, or is being added or removed."""
        unfinished = any(change.level == name and change.day is None for change in self.changes)
        return unfinished or any(level.name == name for level in self.watched)

    def since(self, name: str) -> int | None:
        """The day from which a watched level is judged; None: since the first start."""
        days = [day for day, levels in self._generations if any(level.name == name for level in levels)]
        absent = [day for day, levels in self._generations if all(level.name != name for level in levels)]
        return min((day for day in days if day > max(absent)), default=None) if absent else None

    def thresholds(self, alerts_a_year: float) -> Mapping[str, Threshold]:
        """By level, the threshold of its segments: they alert falsely at most once in so many days on average."""
        return {level.name: Threshold(tuple(self._steps(level.name, alerts_a_year))) for level in self.known}

    def _steps(self, name: str, alerts_a_year: float) -> list[tuple[int, float]]:
        steps: list[tuple[int, float]] = []
        for day, levels in self._generations:
            capacity = next((level.capacity for level in levels if level.name == name), None)
            limit = math.inf if capacity is None else baseline.threshold(capacity, len(levels), alerts_a_year)
            if not steps or steps[-1][1] != limit:
                steps.append((day, limit))
        return steps

    @cached_property
    def _generations(self) -> Sequence[tuple[int, tuple[Level, ...]]]:
        """The levels that share the budget, by the first day of each generation."""
        found = {ALWAYS: self.first}
        levels = {level.name: level for level in self.first}
        for change in self.changes:
            if change.day is None:
                continue
            if change.capacity is None:
                levels.pop(change.level, None)
            else:
                levels[change.level] = Level(change.level, change.capacity)
            found[change.day] = tuple(levels.values())
        return list(found.items())
