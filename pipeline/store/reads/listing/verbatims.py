"""The stream of customers' words: every answer with a comment, the newest first, by key.

A filter that matches few answers would read the whole history for one page. So a page looks at a bounded number of
answers and says where it stopped; the next one goes on from there.
"""

from collections.abc import Callable, Collection
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Select, and_, exists, func, literal, or_, select, tuple_
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.access.scopes import ACCOUNT
from pipeline.domain.answers.scores import DETRACTOR_UP_TO, PROMOTER_FROM
from pipeline.domain.detection.segments import Segment
from pipeline.domain.reports.periods.calendar import begin_of, end_of
from pipeline.store.db.bulk import among
from pipeline.store.orders.memberships import contains, visible
from pipeline.store.people.vault import Vault
from pipeline.store.reads.answers import StoredAnswer, stored_answer
from pipeline.store.reads.listing.words import digests_of
from pipeline.store.schema.answers import HAS_COMMENT, answers, readings
from pipeline.store.schema.journal import journal
from pipeline.store.schema.orders import orders
from pipeline.store.schema.people import answer_words

FEW = 1_000  # answers with a word that are read at once
LOOKED_AT = 5_000  # answers that one page looks at
_ARRIVALS = ("on_time", "late", "not_received")
_Columns = ReadOnlyColumnCollection[str, Column[Any]]
_KEY = (answers.c.received_at, answers.c.source, answers.c.event_id)


class VerbatimFilter(NamedTuple):
    """What the stream shows. Several `codes` are alternatives, everything else has to hold at once. `mood`: unhappy,
    neutral, happy or unscored. `first`, `last`: days of receipt, UTC. Codes and score are those of the answer as
    corrected, if a person has corrected how it was read.
    """

    words: str = ""
    codes: tuple[str, ...] = ()
    mood: str | None = None
    segment: Segment | None = None
    account: str | None = None
    first: date | None = None
    last: date | None = None


class Position(NamedTuple):
    """Where a page ended."""

    received_at: datetime
    source: str
    event_id: str


class Found(NamedTuple):
    """Answers of one page, sealed. `following`: where the next page begins; None: this is the end of the stream.

    `looked_at_all`: whether the page is full, or the stream has ended; else the page stopped before it was full.
    """

    answers: list[StoredAnswer]
    following: Position | None
    looked_at_all: bool = True


def position_of(answer: StoredAnswer) -> Position:
    """The position after this answer."""
    return Position(answer.received_at, answer.source, answer.id)


def page(
    connection: Connection,
    principal: Principal,
    vault: Vault,
    wanted: VerbatimFilter,
    limit: int,
    after: Position | None = None,
    most: int = LOOKED_AT,
) -> Found:
    """Answers with words to orders that the principal sees. Nothing for those who may not read words."""
    if not principal.may(Permission.WORDS):
        return Found([], None)
    digests = digests_of(vault, wanted.words) if wanted.words else []
    if wanted.words and not digests:
        return Found([], None)
    period = [HAS_COMMENT, *_received(wanted, after)]
    where = _conditions(connection, principal, wanted)
    rare = _rare(connection, digests)
    if rare is not None:
        return _among_few(connection, principal, rare, [*period, *where, *map(_has_word, digests)], limit)
    where += map(_has_word, digests)
    if not where:
        return _whole(connection, principal, period, limit)
    return _looked_through(connection, principal, period, where, limit, most)


def _received(wanted: VerbatimFilter, after: Position | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.first is not None:
        found.append(answers.c.received_at >= begin_of(wanted.first))
    if wanted.last is not None:
        found.append(answers.c.received_at < end_of(wanted.last))
    if after is not None:
        given = [literal(value, column.type) for value, column in zip(after, _KEY, strict=True)]
        found.append(tuple_(*_KEY) < tuple_(*given))
    return found


def _conditions(connection: Connection, principal: Principal, wanted: VerbatimFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.codes:
        found.append(_as_read(lambda stated: or_(*(_states(stated, code) for code in wanted.codes))))
    if wanted.mood is not None:
        mood = wanted.mood
        found.append(_as_read(lambda stated: _in_mood(stated, mood)))
    of_order = []
    if wanted.segment is not None:
        of_order.append(contains(connection, wanted.segment))
    if wanted.account is not None:
        of_order.append(contains(connection, Segment(ACCOUNT, wanted.account)))
    if not principal.scope.is_everything:
        of_order.append(visible(connection, principal))
    if of_order:
        found.append(exists().where(orders.c.order_id == answers.c.order_id, *of_order))
    return found


def _as_read(condition: Callable[[_Columns], ColumnElement[bool]]) -> ColumnElement[bool]:
    """A condition on what an answer states: as corrected, else as it was given."""
    same = and_(readings.c.source == answers.c.source, readings.c.event_id == answers.c.event_id)
    return or_(exists().where(same, condition(readings.c)), and_(condition(answers.c), ~exists().where(same)))


def _states(stated: _Columns, code: str) -> ColumnElement[bool]:
    if code in _ARRIVALS:
        return stated.arrival == code
    if code == "complete":
        return stated.complete.is_(True)
    named: ColumnElement[bool] = ("," + stated.condition + ",").contains(f",{code},", autoescape=True)
    return or_(named, stated.complete.is_(False)) if code == "incomplete" else named


def _in_mood(stated: _Columns, mood: str) -> ColumnElement[bool]:
    if mood == "unscored":
        return stated.score.is_(None)
    scale, score = stated.scale, stated.score
    unhappy = or_(*(and_(scale == of, score <= most) for of, most in DETRACTOR_UP_TO.items()))
    happy = or_(*(and_(scale == of, score >= least) for of, least in PROMOTER_FROM.items()))
    if mood == "neutral":
        return and_(score.is_not(None), ~unhappy, ~happy)
    return unhappy if mood == "unhappy" else happy


def _has_word(digest: bytes) -> ColumnElement[bool]:
    same = and_(journal.c.source == answers.c.source, journal.c.id == answers.c.event_id)
    return exists().where(same, answer_words.c.digest == digest, answer_words.c.seq == journal.c.seq)


def _rare(connection: Connection, digests: Collection[bytes]) -> bytes | None:
    """The word that the fewest answers have, if those are few."""
    if not digests:
        return None
    known = list(digests)
    sizes = [
        select(func.count()).select_from(
            select(literal(1)).where(answer_words.c.digest == digest).limit(FEW + 1).subquery()
        )
        for digest in known
    ]
    counted = connection.execute(select(*(size.scalar_subquery() for size in sizes))).one()
    best = min(range(len(known)), key=counted.__getitem__)
    return known[best] if counted[best] <= FEW else None


def _among_few(
    connection: Connection, principal: Principal, rare: bytes, where: list[ColumnElement[bool]], limit: int
) -> Found:
    """Among the few answers with the rarest word."""
    seqs = select(answer_words.c.seq).where(answer_words.c.digest == rare)
    same = and_(journal.c.source == answers.c.source, journal.c.id == answers.c.event_id)
    ids = list(connection.execute(seqs.limit(FEW)).scalars())
    query = select(answers).join(journal, same).where(among(connection, journal.c.seq, ids), *where)
    return _found(_read(connection, principal, query, limit + 1), limit)


def _whole(connection: Connection, principal: Principal, where: list[ColumnElement[bool]], limit: int) -> Found:
    return _found(_read(connection, principal, select(answers).where(*where), limit + 1), limit)


def _looked_through(
    connection: Connection,
    principal: Principal,
    period: list[ColumnElement[bool]],
    where: list[ColumnElement[bool]],
    limit: int,
    most: int,
) -> Found:
    """Among the next `most` answers of the stream, and all that were received in the same instant as the last of them.

    So where a page stopped is a time: it names no answer that the principal may not see.
    """
    received_at, *_ = _KEY
    newest = select(received_at).where(*period).order_by(*(column.desc() for column in _KEY))
    oldest = connection.execute(newest.limit(1).offset(most - 1)).scalar()
    if oldest is not None:
        where = [received_at >= oldest, *where]
    found = _found(_read(connection, principal, select(answers).where(*period, *where), limit + 1), limit)
    if found.following is not None or oldest is None:
        return found
    return Found(found.answers, Position(oldest, "", ""), looked_at_all=False)


def _read(connection: Connection, principal: Principal, query: Select[Any], limit: int) -> list[StoredAnswer]:
    ordered = query.order_by(*(column.desc() for column in _KEY)).limit(limit)
    return [stored_answer(row, principal) for row in connection.execute(ordered)]


def _found(rows: list[StoredAnswer], limit: int) -> Found:
    more = len(rows) > limit
    return Found(rows[:limit], position_of(rows[limit - 1]) if more else None)
