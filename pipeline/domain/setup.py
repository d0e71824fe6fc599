"""The configuration that the processors work with."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from pipeline.domain.asking.policy import Policy
from pipeline.domain.cases.complaints import CasePolicy
from pipeline.domain.detection.baseline import threshold
from pipeline.domain.detection.levels import LevelChange, LevelHistory, Threshold, constant
from pipeline.domain.detection.segments import ROUTE_LEVEL, Level


@dataclass(frozen=True)
class Setup:
    """The configuration of processors: levels and alert budget as the database keeps them, the policy as set now."""

    first_levels: tuple[Level, ...]  # of the first start
    alerts_a_year: float
    policy: Policy
    sending: bool = False  # whether questions are really sent; if not, a decision to ask counts as asked
    level_changes: tuple[LevelChange, ...] = ()
    rules_since: int = 0  # first day (ordinal) that is judged by the present rules; 0: every day
    cases: CasePolicy = field(default_factory=CasePolicy)  # by when cases are to be settled

    @cached_property
    def history(self) -> LevelHistory:
        """The levels over time."""
        return LevelHistory(self.first_levels, self.level_changes)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that are watched now."""
        return self.history.watched

    @cached_property
    def thresholds(self) -> Mapping[str, Threshold]:
        """The threshold of every level that ever was, and that of routes, which share no budget with them."""
        of_routes = constant(threshold(ROUTE_LEVEL.capacity, 1, self.alerts_a_year))
        return {ROUTE_LEVEL.name: of_routes, **self.history.thresholds(self.alerts_a_year)}

    def with_changes(self, changes: tuple[LevelChange, ...]) -> "Setup":
        """This setup under the present changes of levels: itself, if it knows them."""
        return self if changes == self.level_changes else replace(self, level_changes=changes)
