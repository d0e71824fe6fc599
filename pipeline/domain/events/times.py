"""Times in events: their zone, the years allowed, and the deadline of a promise."""

from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from pipeline.domain.events.contract import BadEvent, Instant


def utc(moment: datetime, field: str) -> datetime:
    """The same instant in UTC. Raises BadEvent outside the years 1970 to 2199."""
    if not 1970 <= moment.year < 2200:
        raise BadEvent(f"the year {moment.year} is out of range (1970 to 2199)", field)
    return moment.astimezone(UTC)


@lru_cache(maxsize=1_024)
def zone(name: str, field: str = "data.timezone") -> ZoneInfo:
    """The time zone of an IANA name. Raises BadEvent if there is no such zone."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadEvent(f"{name!r} is not an IANA time zone", field) from None


@lru_cache(maxsize=8_192)
def deadline(stated: str, timezone: str | None, field: str = "data.promised_at") -> datetime:
    """The last instant (UTC) that keeps a promise: the time itself, or the end of a date's day in `timezone`.

    Raises BadEvent naming `field`, or `data.timezone` where a date has none.
    """
    if len(stated) == 10:
        try:
            day = date.fromisoformat(stated)
        except ValueError:
            raise BadEvent(f"{stated!r} is neither a date nor a time with offset", field) from None
        if timezone is None:
            raise BadEvent("a date needs the order's time zone", "data.timezone")
        return utc(datetime.combine(day, time.max, zone(timezone)), field)
    try:
        return utc(msgspec.convert(stated, type=Instant), field)
    except msgspec.ValidationError as error:
        raise BadEvent(str(error), field) from None
