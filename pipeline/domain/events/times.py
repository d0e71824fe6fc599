"""Times in events: their zone, the years allowed, and the deadline of a promise."""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from pipeline.domain.events.contract import BadEvent, Instant

_MINUTE = timedelta(minutes=1)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")  # `date.fromisoformat` also reads weeks, such as 2026-W48-5
_NOT_NAMES = frozenset({"localtime", "posixrules", "Factory"})  # files that have no fixed meaning, beside the zones


def utc(moment: datetime, field: str) -> datetime:
    """The same instant in UTC. Raises BadEvent outside the years 1970 to 2199."""
    if not 1970 <= moment.year < 2200:
        raise BadEvent("is a year out of range (1970 to 2199)", field, moment.year)
    return moment.astimezone(UTC)


def check_not_ahead(happened: datetime, received_at: datetime, allowed: timedelta) -> None:
    """Raise BadEvent if an event claims to be later than its receipt by more than `allowed`: its clock is wrong."""
    ahead = happened - received_at
    if ahead > allowed:
        raise BadEvent(
            f"{happened:%Y-%m-%dT%H:%M:%SZ} is {_in_words(ahead)} ahead of the time of receipt, "
            f"{received_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}: the clock or the time zone of the source is wrong "
            f"(UNVARNISHED_MAX_EVENT_AHEAD_MINUTES allows {allowed / _MINUTE:g})",
            "time",
        )


def _in_words(duration: timedelta) -> str:
    return f"{duration.days} days" if duration.days > 1 else f"{duration / _MINUTE:.0f} minutes"


@lru_cache(maxsize=1_024)
def zone(name: str, field: str = "data.timezone") -> ZoneInfo:
    """The time zone of a name that was checked when it was received. Raises BadEvent if there is no such zone.

    Earlier versions accepted more names than `check_zone` does: what is stored under them stays readable.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadEvent("is not an IANA time zone", field, name) from None


@lru_cache(maxsize=1_024)
def check_zone(name: str, field: str = "data.timezone") -> None:
    """Raise BadEvent unless the name is an IANA name as it is spelt there.

    The system's zone files have other names, too: `localtime` is this machine's zone, `right/...` counts leap seconds.
    """
    if name not in _names():
        raise BadEvent("is not an IANA time zone", field, name)
    zone(name, field)


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(available_timezones()) - _NOT_NAMES


@lru_cache(maxsize=8_192)
def deadline(stated: str, timezone: str | None, field: str = "data.promised_at") -> datetime:
    """The last instant (UTC) that keeps a promise: the time itself, or the end of a date's day in `timezone`.

    Raises BadEvent naming `field`, or `data.timezone` where a date has none.
    """
    if len(stated) == 10:
        try:
            day = date.fromisoformat(stated if _DAY.fullmatch(stated) else "")
        except ValueError:
            raise BadEvent("is neither a date (YYYY-MM-DD) nor a time with offset", field, stated) from None
        if timezone is None:
            raise BadEvent("a date needs the order's time zone", "data.timezone")
        # fold=1: where clocks go back at midnight the last hour of the day comes twice, and the second one ends it.
        # Where they go forward there, the day ends before its last hour, which fold=1 gives as well.
        return utc(datetime.combine(day, time.max.replace(fold=1), zone(timezone)), field)
    try:
        return utc(msgspec.convert(stated, type=Instant), field)
    except msgspec.ValidationError as error:
        raise BadEvent(str(error), field) from None
