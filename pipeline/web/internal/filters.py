"""The level and period a page or report is about, as its query parameters give them, and the counters read for it."""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import NamedTuple, NoReturn

from litestar.exceptions import ValidationException
from sqlalchemy import Connection

from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.segments import Segment
from pipeline.domain.reports.counts import Counts
from pipeline.domain.setup import Setup
from pipeline.store.reads import reports

LONGEST = 200  # characters of a parameter that an answer repeats


class ReportFilter(NamedTuple):
    """One level (None: the fleet alone) and the days of completion, both ends included (None: open)."""

    by: str | None = None
    first: date | None = None
    last: date | None = None

    def parameters(self) -> dict[str, object]:
        """The query parameters of this filter, in the address of a page."""
        return {"by": self.by, "from": self.first, "to": self.last}

    def fleet(self, connection: Connection, principal: Principal) -> Counts:
        """The summed counters of all orders in the period that the principal sees."""
        return reports.total(connection, principal, *self._days())

    def segments(
        self, connection: Connection, principal: Principal, counters: Collection[str] | None = None
    ) -> Mapping[str, Counts]:
        """The summed counters, or only these, of each segment of the level that the principal sees; none without a
        level.
        """
        if self.by is None:
            return {}
        return reports.by_segment(connection, principal, self.by, *self._days(), counters=counters)

    def segment(self, connection: Connection, principal: Principal, segment: Segment) -> Counts:
        """The summed counters of one segment that the principal sees."""
        found = reports.by_segment(connection, principal, segment.dimension, *self._days(), value=segment.value)
        return found.get(segment.value, {})

    def _days(self) -> tuple[int | None, int | None]:
        first, last = (None if day is None else day.toordinal() for day in (self.first, self.last))
        return first, last


def levels(setup: Setup) -> list[str]:
    """The names of the levels that are counted, in the configured order."""
    return [level.name for level in setup.levels]


def default_level(setup: Setup) -> str:
    """The level a page shows by default: the finest one-dimensional level, whose segments can be held responsible."""
    plain = [level for level in setup.levels if "+" not in level.name] or list(setup.levels)
    return max(plain, key=lambda level: level.capacity).name


def parse_filter(setup: Setup, by: str | None, first: str | None, last: str | None) -> ReportFilter:
    """The filter in these parameters. An empty parameter, as forms send it, counts as missing.

    Raises ValidationException naming the parameter: an unknown level, an invalid date, or `from` after `to`.
    """
    if by and by not in levels(setup):
        reject("by", f"unknown level {by[:LONGEST]!r}; the levels are: {', '.join(levels(setup))}")
    found = ReportFilter(by or None, parse_day("from", first), parse_day("to", last))
    if found.first and found.last and found.first > found.last:
        reject("from", f"{found.first} is after {found.last}, the date in 'to'")
    return found


def presets(shown: ReportFilter, today: date) -> list[tuple[str, dict[str, str], bool]]:
    """Common periods: name, query parameters, whether it is the one shown."""
    found = []
    for name, days in (("All time", None), ("90 days", 90), ("30 days", 30), ("7 days", 7)):
        first = None if days is None else today - timedelta(days=days - 1)
        parameters = {"from": "" if first is None else str(first), "to": ""}
        found.append((name, parameters, (first, None) == (shown.first, shown.last)))
    return found


def reject(name: str, message: str) -> NoReturn:
    """Reject a request because of its query parameter `name`. Raises ValidationException."""
    raise ValidationException(f"parameter {name!r}", extra=[{"key": name, "message": message, "source": "query"}])


def explain(error: ValidationException) -> str:
    """The parameter that `reject` names, and what is wrong with it."""
    extra = error.extra
    first = extra[0] if isinstance(extra, list) and extra else {}
    return f"{first.get('key', '')}: {first.get('message', error.detail)}"


def parse_day(name: str, text: str | None) -> date | None:
    """A day given as a query parameter; None: not given. Raises ValidationException that names the parameter."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        reject(name, f"{text[:LONGEST]!r} is not a date such as 2026-11-20")
