"""The configuration that the processors work with."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection import baseline
from pipeline.domain.detection.segments import Level


@dataclass(frozen=True)
class Setup:
    """The configuration of processors: levels and alert budget as frozen with the database, the policy as set now."""

    levels: tuple[Level, ...]
    alerts_a_year: float
    policy: Policy
    sending: bool = False  # whether questions are really sent; if not, a decision to ask counts as asked
    rules_since: int = 0  # first day (ordinal) that is judged by the present rules; 0: every day

    @cached_property
    def thresholds(self) -> Mapping[str, float]:
        """By level, the threshold of its segments: they alert falsely at most once in so many days on average."""
        return {
            level.name: baseline.threshold(level.capacity, len(self.levels), self.alerts_a_year)
            for level in self.levels
        }
