"""The newest baseline of each signal."""

from msgspec import Struct
from sqlalchemy import Connection, and_, func, select

from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.baseline import BASELINE_MIN_PAIRS
from pipeline.store.evidence.evidence import WINDOW_DAYS
from pipeline.store.schema.evidence import fleet_days, nulls


class BaselineState(Struct, frozen=True):
    """What counts as honest for a signal in its newest month; `delta` None: no baseline yet, so no evidence."""

    signal: str
    month: str | None
    delta: float | None
    rho: float | None
    pairs: int
    """The fleet's pairs of the 90 days that end with the newest pair."""

    @property
    def missing(self) -> int:
        """How many more pairs the next month needs for a baseline; 0 where there is one."""
        return max(BASELINE_MIN_PAIRS - self.pairs, 0) if self.delta is None else 0


def newest_baselines(connection: Connection, principal: Principal) -> list[BaselineState]:
    """The newest baseline of every signal that has a baseline or a pair.

    Baselines are figures of the fleet: who sees a part of it gets none.
    """
    if not principal.scope.is_everything:
        return []
    last = select(nulls.c.signal, func.max(nulls.c.month).label("month")).group_by(nulls.c.signal).subquery()
    frozen = select(nulls).join(last, and_(nulls.c.signal == last.c.signal, nulls.c.month == last.c.month))
    by_signal = {row.signal: row for row in connection.execute(frozen)}
    pairs = _recent_pairs(connection)
    states = []
    for signal in sorted(by_signal.keys() | pairs.keys()):
        row = by_signal.get(signal)
        so_far = pairs.get(signal, 0)
        if row is None:
            states.append(BaselineState(signal, None, None, None, so_far))
        else:
            states.append(BaselineState(signal, row.month, row.delta, row.rho, so_far))
    return states


def _recent_pairs(connection: Connection) -> dict[str, int]:
    """Per signal, the fleet's pairs of the 90 days that end with its newest pair."""
    last = select(fleet_days.c.signal, func.max(fleet_days.c.day).label("day")).group_by(fleet_days.c.signal).subquery()
    query = (
        select(fleet_days.c.signal, func.sum(fleet_days.c.n))
        .join(last, fleet_days.c.signal == last.c.signal)
        .where(fleet_days.c.day > last.c.day - WINDOW_DAYS)
        .group_by(fleet_days.c.signal)
    )
    return {signal: int(n) for signal, n in connection.execute(query)}
