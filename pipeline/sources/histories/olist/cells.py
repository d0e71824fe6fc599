"""Parsing of cells: keys, states, times. Every function raises BadEvent that names the column."""

from collections.abc import Container
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from pipeline.domain.events.contract import BadEvent

TIMEZONE = "America/Sao_Paulo"  # the tables' times are local to it and carry no offset
_ZONE = ZoneInfo(TIMEZONE)
_MAX_KEY = 90  # characters: two keys and a word form an event's id, which has at most 200


def check_key(text: str, column: str) -> None:
    """Raise BadEvent if the text cannot be a key: it is empty or too long."""
    if not text:
        raise BadEvent("is empty", column)
    if len(text) > _MAX_KEY:
        raise BadEvent(f"is longer than {_MAX_KEY} characters", column)


def check_new(key: str, column: str, known: Container[str]) -> None:
    """Raise BadEvent for a key that is already known."""
    check_key(key, column)
    if key in known:
        raise BadEvent("was seen twice", column, key)


@lru_cache(maxsize=65_536)
def interned(text: str, column: str) -> str:
    """The text, as the same object for equal texts: saves 50,000 copies in memory. Raises BadEvent if it is empty."""
    if not text:
        raise BadEvent("is empty", column)
    return text


@lru_cache(maxsize=256)
def parse_state(text: str, column: str) -> str:
    """A state, "" if the source has none. Raises BadEvent if it is too long for a segment's name."""
    if len(text) > _MAX_KEY:
        raise BadEvent(f"is longer than {_MAX_KEY} characters", column)
    return text


def parse_time(text: str, column: str) -> datetime:
    """The local time of a cell, with a fixed offset. Raises BadEvent.

    In Brazil clocks went forward at midnight, so 00:30 of such a day does not exist: it is read with the offset before.
    """
    # A third of the reading time is spent on 225,000 times. Hence one function, and `combine`, faster than `replace`.
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _not_a_time(text, column) from None
    if len(text) not in (10, 19) or text[7] != "-" or moment.tzinfo is not None:
        raise _not_a_time(text, column)
    if not 1970 < moment.year < 2199:
        raise BadEvent("is a year out of range (1971 to 2198)", column, moment.year)
    return datetime.combine(moment, moment.time(), _fixed_offset(_ZONE.utcoffset(moment)))


def _not_a_time(text: str, column: str) -> BadEvent:
    return BadEvent("is not a time like 2017-05-12 14:30:00", column, text)


@lru_cache(maxsize=8_192)
def parse_day(text: str, column: str) -> date:
    """The day of a cell with a date or a time. Raises BadEvent."""
    return parse_time(text, column).date()


@lru_cache(maxsize=8_192)
def end_of_day(day: date) -> datetime:
    """The last instant of a day in the source's time zone, where clocks went back at midnight (`fold`)."""
    end = datetime.combine(day, time.max.replace(fold=1), _ZONE)
    return datetime.combine(day, time.max, _fixed_offset(end.utcoffset()))


@lru_cache(maxsize=16)
def _fixed_offset(offset: timedelta) -> timezone:
    """A fixed offset. Python compares times of the same named zone without their offsets."""
    return timezone(offset)
