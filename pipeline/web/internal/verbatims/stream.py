"""The stream of words as pages, files and the read API show it: its parameters and its rows."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

from msgspec import Struct, structs
from sqlalchemy import Connection

from pipeline.domain.access.principal import Principal
from pipeline.domain.events.contract import QR
from pipeline.domain.events.spelling import normal
from pipeline.domain.orders.facts import contact_of
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.order_list import CODES
from pipeline.store.people.vault import Vault
from pipeline.store.people.word_index import words_in
from pipeline.store.reads.answers import StoredAnswer, opened
from pipeline.store.reads.listing import verbatims
from pipeline.store.reads.listing.verbatims import Found, Position, VerbatimFilter
from pipeline.store.reads.order_record import read_orders
from pipeline.web.internal.filters import LONGEST, parse_day, reject
from pipeline.web.internal.orders.list_filter import parse_segment, segment_text
from pipeline.web.internal.words import experience_in_words, mood, score_in_words

CAUSES = tuple(code for code in CODES if code not in ("unhappy", "neutral", "happy"))
MOODS = ("unhappy", "neutral", "happy", "unscored")
LOOKED_AT_IN_A_LANGUAGE = 500  # answers that one page looks at: the language is known from the order alone
_LONGEST_LANGUAGE = 35


class Wanted(NamedTuple):
    """What the stream shows. `language`: of the contact, as the order names it."""

    filter: VerbatimFilter = VerbatimFilter()
    language: str = ""

    def address(self, path: str = "/verbatims", after: Position | None = None) -> str:
        """The address of this stream, or of its next page."""
        pairs = self.pairs()
        if after is not None:
            pairs.append(("after", position_text(after)))
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def pairs(self, *, words: bool = True) -> list[tuple[str, str]]:
        """The parameters. Without `words` a search is only said to be there."""
        one = self.filter
        pairs: list[tuple[str, object]] = [
            ("words", one.words if words else "..." if one.words else ""),
            *(("code", code) for code in one.codes),
            ("score", one.mood),
            ("language", self.language),
            ("segment", segment_text(one.segment) if one.segment else ""),
            ("account", one.account),
            ("from", one.first),
            ("to", one.last),
        ]
        return [(name, str(value)) for name, value in pairs if value]


class Verbatim(Struct, frozen=True, kw_only=True):
    """One answer with words. `words` null: they were erased with their author, or are past their retention.

    `states`, `score`: as corrected, if a person has corrected how it was read. `by_anyone`: by the code on the delivery
    note, so nobody knows who wrote it, and it counts in no figure.
    """

    order_id: str
    account_id: str | None
    account: str | None
    contact_id: str
    role: str | None
    language: str | None
    dimensions: dict[str, str]
    received_at: datetime
    channel: str
    words: str | None
    states: str
    score: str | None
    mood: str
    corrected: bool
    by_anyone: bool


def parse(
    *,
    words: str | None,
    codes: Sequence[str],
    score: str | None,
    language: str | None,
    segment: str | None,
    account: str | None,
    first: str | None,
    last: str | None,
) -> Wanted:
    """The parameters of the stream; empty ones count as missing. Raises ValidationException naming the wrong one."""
    text = (words or "").strip()
    if text and not words_in(text):
        reject("words", f"{text[:LONGEST]!r} has no word to search for")
    wrong = [code for code in codes if code and code not in CAUSES]
    if wrong:
        reject("code", f"unknown code {wrong[0][:LONGEST]!r}; known are: {', '.join(CAUSES)}")
    if score and score not in MOODS:
        reject("score", f"unknown {score[:LONGEST]!r}; known are: {', '.join(MOODS)}")
    found = VerbatimFilter(
        words=text,
        codes=tuple(dict.fromkeys(code for code in codes if code)),
        mood=score or None,
        segment=parse_segment(segment) if segment else None,
        account=normal(account) if account else None,
        first=parse_day("from", first),
        last=parse_day("to", last),
    )
    if found.first and found.last and found.first > found.last:
        reject("from", f"{found.first} is after {found.last}, the date in 'to'")
    return Wanted(found, (language or "").strip().lower()[:_LONGEST_LANGUAGE])


def position_text(position: Position) -> str:
    """Where a page ended, as the parameter `after`. An id is the last part: it may contain anything."""
    source = position.source.replace("%", "%25").replace(",", "%2C")
    return f"{position.received_at.astimezone(UTC).isoformat()},{source},{position.event_id}"


def parse_position(text: str | None) -> Position | None:
    """Where the page before ended. Raises ValidationException if the parameter is not from such a stream."""
    if not text:
        return None
    moment, _, rest = text.partition(",")
    source, _, event_id = rest.partition(",")
    try:
        received_at = datetime.fromisoformat(moment)
    except ValueError:
        received_at = None
    if received_at is None or received_at.tzinfo is None or "\x00" in text:
        reject("after", "is not the end of a page of this list")
    return Position(received_at, source.replace("%2C", ",").replace("%25", "%"), event_id)


class Page(NamedTuple):
    """One page. `following`, `looked_at_all`: as in `verbatims.Found`."""

    rows: list[Verbatim]
    following: Position | None
    looked_at_all: bool


def read(
    connection: Connection, viewer: Principal, vault: Vault, wanted: Wanted, limit: int, after: Position | None = None
) -> Page:
    """A page of the stream, opened."""
    if not wanted.language:
        found = verbatims.page(connection, viewer, vault, wanted.filter, limit, after)
        known = _orders(connection, viewer, found.answers)
    else:
        found, known = _in_language(connection, viewer, vault, wanted, limit, after)
    texts = opened(connection, vault, found.answers)
    rows = [_row(answer, known.get(answer.order_id)) for answer in texts]
    return Page(rows, found.following, found.looked_at_all)


def _orders(connection: Connection, viewer: Principal, found: Sequence[StoredAnswer]) -> dict[str, Order]:
    return read_orders(connection, viewer, {answer.order_id for answer in found})


def _in_language(
    connection: Connection, viewer: Principal, vault: Vault, wanted: Wanted, limit: int, after: Position | None
) -> tuple[Found, dict[str, Order]]:
    """Those of the next answers whose contact has the language."""
    most = LOOKED_AT_IN_A_LANGUAGE
    looked_at = verbatims.page(connection, viewer, vault, wanted.filter, most, after)
    known = _orders(connection, viewer, looked_at.answers)
    mine = [one for one in looked_at.answers if _is_in(_language(one, known.get(one.order_id)), wanted.language)]
    if len(mine) > limit:
        return Found(mine[:limit], verbatims.position_of(mine[limit - 1])), known
    return Found(mine, looked_at.following, looked_at.following is None), known


def _language(answer: StoredAnswer, order: Order | None) -> str | None:
    contact = None if order is None else contact_of(order.facts, answer.contact_id)
    return None if contact is None else contact.language


def _is_in(language: str | None, wanted: str) -> bool:
    return language is not None and (language.lower() == wanted or language.lower().startswith(f"{wanted}-"))


def _row(answer: StoredAnswer, order: Order | None) -> Verbatim:
    known = order if order is not None and order.facts.known else None
    account = None if known is None else known.facts.latest.account
    contact = None if known is None else contact_of(known.facts, answer.contact_id)
    correction = None if order is None else order.dialogue.correction_of(answer.source, answer.id)
    read_as = answer if correction is None else structs.replace(answer, correction=correction).as_corrected()
    return Verbatim(
        order_id=answer.order_id,
        account_id=None if account is None else account.id,
        account=None if account is None else account.name or account.id,
        contact_id=answer.contact_id,
        role=None if contact is None else contact.role,
        language=None if contact is None else contact.language,
        dimensions={} if known is None else dict(known.facts.dimensions),
        received_at=answer.received_at,
        channel=answer.channel,
        words=answer.comment,
        states=experience_in_words(read_as.statement),
        score=score_in_words(read_as.score),
        mood=mood(read_as.score),
        corrected=correction is not None,
        by_anyone=answer.channel == QR,
    )


def everything(
    connection: Connection, viewer: Principal, vault: Vault, wanted: Wanted, batch: int
) -> Iterator[Verbatim]:
    """The whole stream with these filters, page by page."""
    after = None
    while True:
        page = read(connection, viewer, vault, wanted, batch, after)
        yield from page.rows
        if page.following is None:
            return
        after = page.following
