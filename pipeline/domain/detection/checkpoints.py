"""Which of the daily states of a segment's evidence are kept.

An answer that changes is folded again from the newest state before its day, over all pairs since. So the older that
day, the further back the state may be: at most as far again. What is kept depends on the days alone, so every history
of the same pairs keeps the same.
"""

from collections.abc import Collection

_WEEK, _MONTH, _YEAR = 7, 28, 364  # days; each is a multiple of the one before, so a shorter span lies in one longer


def _span(day: int, newest: int) -> int:
    """Days of which one state is kept, around a day of that age."""
    if newest // _WEEK - day // _WEEK <= 1:
        return 1
    if newest // _MONTH - day // _MONTH <= 2:
        return _WEEK
    return _MONTH if newest // _YEAR - day // _YEAR <= 1 else _YEAR


def superseded(days: Collection[int]) -> list[int]:
    """Of these days with a state those that are no longer needed, sorted.

    Kept is each day of this week and the last one, then the last of each week for eight to twelve weeks, the last of
    each 28 days for a year or two, and the last of each 364 days before. Changes only when a new week begins.
    """
    if not days:
        return []
    newest = max(days)
    last: dict[tuple[int, int], int] = {}
    for day in sorted(days):
        span = _span(day, newest)
        last[span, day // span] = day
    return sorted(set(days) - set(last.values()))


def begins_week(before: int, day: int) -> bool:
    """Whether a new week begins between two days."""
    return before // _WEEK != day // _WEEK
