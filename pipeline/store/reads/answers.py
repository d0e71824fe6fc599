"""Answers read back: the newest with comments, all of an order, and what a contact states now."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from pipeline.domain.answers import answer
from pipeline.domain.answers.answer import CommentedAnswer
from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.contract import Score
from pipeline.store.schema.answers import HAS_COMMENT, answers


class StoredAnswer(CommentedAnswer, frozen=True, array_like=True, kw_only=True):
    """One answer to one order, and when and on which channel it was received."""

    order_id: str
    received_at: datetime
    channel: str


class CurrentAnswer(NamedTuple):
    """What a contact states now about an order, when the latest answer was given, and the number of their answers.

    `source` and `event_id` name the latest answer.
    """

    statement: Statement
    answered_at: datetime | None
    number: int
    source: str = ""
    event_id: str = ""


def verbatims(connection: Connection, limit: int) -> list[StoredAnswer]:
    """The newest answers that have a comment, newest first; read along the partial index on them."""
    newest = answers.c.received_at.desc(), answers.c.source.desc(), answers.c.event_id.desc()
    query = select(answers).where(HAS_COMMENT).order_by(*newest).limit(limit)
    return [_stored(row) for row in connection.execute(query)]


def answers_to(connection: Connection, order_id: str) -> list[StoredAnswer]:
    """Every answer to an order, in the order of receipt."""
    query = select(answers).where(answers.c.order_id == order_id)
    return [_stored(row) for row in connection.execute(query.order_by(answers.c.received_at, answers.c.event_id))]


def current_answer(connection: Connection, order_id: str, contact_id: str) -> CurrentAnswer | None:
    """What a contact states now about an order (see `domain.answers.answer.current_answers`); None: no answer yet."""
    query = select(answers).where(answers.c.order_id == order_id, answers.c.contact_id == contact_id)
    given = [_stored(row) for row in connection.execute(query)]
    if not given:
        return None
    [current] = answer.current_answers(given)
    return CurrentAnswer(current.statement, current.answered_at, len(given), current.source, current.id)


def number_of_answers(connection: Connection, order_id: str, contact_id: str, source: str) -> int:
    """How many answers of a contact to an order one source has sent."""
    given = answers.c.order_id == order_id, answers.c.contact_id == contact_id, answers.c.source == source
    return connection.execute(select(func.count()).select_from(answers).where(*given)).scalar_one()


def _stored(row: Row[Any]) -> StoredAnswer:
    return StoredAnswer(
        row.contact_id,
        row.source,
        row.event_id,
        row.answered_at,
        row.arrival,
        row.arrived_at,
        row.complete,
        condition=[name for name in row.condition.split(",") if name],
        score=None if row.score is None else Score(row.score, row.scale),
        comment=row.comment,
        order_id=row.order_id,
        received_at=row.received_at,
        channel=row.channel,
    )
