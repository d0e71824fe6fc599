"""The filters of the list of orders as query parameters: read, checked, and written back into addresses."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple, get_args
from urllib.parse import quote, unquote, urlencode

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.asking.eligibility import Reason
from pipeline.domain.detection.pairs import Verdict
from pipeline.domain.detection.segments import Segment
from pipeline.domain.events.spelling import normal
from pipeline.domain.orders.endings import Ending
from pipeline.domain.reports.order_list import CODES, COUNTED
from pipeline.store.people.word_index import words_in
from pipeline.store.reads.listing.order_list import OrderFilter, Position
from pipeline.web.internal.filters import LONGEST, parse_day, reject
from pipeline.web.internal.words import plain_word, why_not

VERDICTS: tuple[str, ...] = get_args(Verdict)
REASONS: tuple[str, ...] = tuple(dict.fromkeys([*(one.value for one in Reason), *(one.value for one in Ending)]))
_MOST = 20  # values of a parameter that may be repeated


class Given(NamedTuple):
    """The query parameters of a list, as they were sent. An empty one, as forms send it, counts as missing."""

    verdict: str | None = None
    reason: str | None = None
    segment: Sequence[str] = ()
    account: str | None = None
    first: str | None = None
    last: str | None = None
    code: Sequence[str] = ()
    counted: Sequence[str] = ()
    words: str | None = None
    modified_since: str | None = None


class Chip(NamedTuple):
    """One filter in words, and the address of the list without it."""

    name: str
    value: str
    without: str


def parse(viewer: Principal, given: Given) -> OrderFilter:
    """The filter of these parameters. Raises ValidationException naming the parameter that is wrong."""
    words = (given.words or "").strip()
    if words and not viewer.may(Permission.WORDS):
        reject("words", "are searched by those only who may read them")
    if words and not words_in(words):
        reject("words", f"{words[:LONGEST]!r} has no word to search for")
    found = OrderFilter(
        verdict=_one_of("verdict", given.verdict, VERDICTS),
        reason=_one_of("reason", given.reason, REASONS),
        segments=tuple(parse_segment(text) for text in _several("segment", given.segment)),
        account=normal(given.account) if given.account else None,
        first=parse_day("from", given.first),
        last=parse_day("to", given.last),
        codes=_each_of("code", given.code, tuple(CODES)),
        counted=_each_of("counted", given.counted, tuple(COUNTED)),
        words=words,
        since=_moment("modified_since", given.modified_since),
    )
    if found.first and found.last and found.first > found.last:
        reject("from", f"{found.first} is after {found.last}, the date in 'to'")
    return found


def address(wanted: OrderFilter, path: str = "/orders", after: Position | None = None) -> str:
    """The address of a list with this filter; with `after` that of its next page."""
    pairs = _pairs(wanted)
    if after is not None:
        pairs.append(("after", position_text(after)))
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _pairs(wanted: OrderFilter) -> list[tuple[str, str]]:
    pairs: list[tuple[str, object]] = [
        ("verdict", wanted.verdict),
        ("reason", wanted.reason),
        *(("segment", segment_text(segment)) for segment in wanted.segments),
        ("account", wanted.account),
        ("from", wanted.first),
        ("to", wanted.last),
        *(("code", code) for code in wanted.codes),
        *(("counted", counter) for counter in wanted.counted),
        ("words", wanted.words),
        ("modified_since", wanted.since and wanted.since.isoformat()),
    ]
    return [(name, str(value)) for name, value in pairs if value]


def chips(wanted: OrderFilter) -> list[Chip]:
    """The filters in force."""
    found = []
    if wanted.verdict:
        found.append(Chip("verdict", plain_word(wanted.verdict), address(wanted._replace(verdict=None))))
    if wanted.reason:
        found.append(Chip("nobody asked because", why_not(wanted.reason), address(wanted._replace(reason=None))))
    for segment in wanted.segments:
        others = tuple(one for one in wanted.segments if one != segment)
        found.append(Chip(segment.dimension, segment.value, address(wanted._replace(segments=others))))
    if wanted.account:
        found.append(Chip("customer", wanted.account, address(wanted._replace(account=None))))
    if wanted.first:
        found.append(Chip("completed from", str(wanted.first), address(wanted._replace(first=None))))
    if wanted.last:
        found.append(Chip("completed up to", str(wanted.last), address(wanted._replace(last=None))))
    if wanted.codes:
        stated = " or ".join(CODES[code] for code in wanted.codes)
        found.append(Chip("the customer states", stated, address(wanted._replace(codes=()))))
    if wanted.counted:
        counted = " or ".join(COUNTED[counter] for counter in wanted.counted)
        found.append(Chip("counted as", counted, address(wanted._replace(counted=()))))
    if wanted.words:
        found.append(Chip("words", wanted.words, address(wanted._replace(words=""))))
    if wanted.since:
        found.append(Chip("last event from", wanted.since.isoformat(), address(wanted._replace(since=None))))
    return found


def segment_text(segment: Segment) -> str:
    """A segment as a parameter: `depot:Lyon`. A colon in the dimension is escaped."""
    return f"{quote(segment.dimension, safe='+ ')}:{segment.value}"


def parse_segment(text: str) -> Segment:
    """The segment that a parameter names. Raises ValidationException."""
    dimension, separator, value = text.partition(":")
    found = Segment(normal(unquote(dimension)), normal(value))
    if not separator or not found.dimension or not found.value:
        reject("segment", f"{text[:LONGEST]!r} is not DIMENSION:VALUE, as in depot:Lyon")
    return found


def position_text(position: Position) -> str:
    """Where a page ended, as the parameter `after`."""
    return f"{position.day or ''},{position.last_event_at.astimezone(UTC).isoformat()},{position.order_id}"


def parse_position(text: str | None, wanted: OrderFilter) -> Position | None:
    """Where the page before ended. Raises ValidationException if the parameter `after` is not from such a list."""
    if not text:
        return None
    day, _, rest = text.partition(",")
    moment, _, order_id = rest.partition(",")
    try:
        found = Position(int(day) if day else None, datetime.fromisoformat(moment), order_id)
        _ = date.fromordinal(found.day or 1)
    except (ValueError, OverflowError):
        reject("after", "is not the end of a page of this list")
    unusable = found.last_event_at.tzinfo is None or not order_id or "\x00" in order_id
    if unusable or (wanted.last is not None and found.day is None):
        reject("after", "is not the end of a page of this list")
    return found


def _one_of(name: str, value: str | None, known: Sequence[str]) -> str | None:
    if not value:
        return None
    if value not in known:
        reject(name, f"unknown {name} {value[:LONGEST]!r}; known are: {', '.join(known)}")
    return value


def _each_of(name: str, values: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    return tuple(value for text in _several(name, values) if (value := _one_of(name, text, known)) is not None)


def _several(name: str, values: Sequence[str]) -> list[str]:
    found = list(dict.fromkeys(value for value in values if value))
    if len(found) > _MOST:
        reject(name, f"is given more than {_MOST} times")
    return found


def _moment(name: str, text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        reject(name, f"{text[:LONGEST]!r} is not a time with an offset, such as 2026-11-20T09:30:00+01:00")
    return found
