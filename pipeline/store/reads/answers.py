"""Answers read back: the newest with comments, all of an order, and what a contact states now.

Comments are read sealed; `opened` opens them for whoever may read words.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import structs
from sqlalchemy import Connection, Row, Select, func, select

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.answers import answer
from pipeline.domain.answers.answer import CommentedAnswer
from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.contract import Score
from pipeline.store.db.bulk import among
from pipeline.store.orders.memberships import visible
from pipeline.store.people.keys import open_words
from pipeline.store.people.vault import Vault
from pipeline.store.schema.answers import HAS_COMMENT, answers
from pipeline.store.schema.orders import orders


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


def verbatims(connection: Connection, principal: Principal, limit: int) -> list[StoredAnswer]:
    """The newest answers with a comment to orders that the principal sees, newest first; read along the partial index
    on them. None for those who may not read words.
    """
    if not principal.may(Permission.WORDS):
        return []
    newest = answers.c.received_at.desc(), answers.c.source.desc(), answers.c.event_id.desc()
    query = select(answers).where(HAS_COMMENT).order_by(*newest).limit(limit)
    query = _of_visible_orders(query, connection, principal)
    return [stored_answer(row, principal) for row in connection.execute(query)]


def answers_to(connection: Connection, principal: Principal, order_id: str) -> list[StoredAnswer]:
    """Every answer to an order that the principal sees, in the order of receipt. Comments for those who may read words
    only.
    """
    query = _of_visible_orders(select(answers).where(answers.c.order_id == order_id), connection, principal)
    return [
        stored_answer(row, principal)
        for row in connection.execute(query.order_by(answers.c.received_at, answers.c.event_id))
    ]


def current_answer(
    connection: Connection, principal: Principal, order_id: str, contact_id: str
) -> CurrentAnswer | None:
    """What a contact states now about an order (see `domain.answers.answer.current_answers`); None: no answer yet."""
    of_contact = select(answers).where(answers.c.order_id == order_id, answers.c.contact_id == contact_id)
    query = _of_visible_orders(of_contact, connection, principal)
    given = [stored_answer(row, principal) for row in connection.execute(query)]
    if not given:
        return None
    [current] = answer.current_answers(given)
    return CurrentAnswer(current.statement, current.answered_at, len(given), current.source, current.id)


def comments_to(
    connection: Connection, principal: Principal, vault: Vault, order_ids: Collection[str]
) -> dict[str, list[str]]:
    """The comments to these orders, opened, the oldest first, by order; nothing for those who may not read words."""
    if not principal.may(Permission.WORDS) or not order_ids:
        return {}
    query = select(answers.c.order_id, answers.c.comment).where(
        among(connection, answers.c.order_id, sorted(order_ids)), HAS_COMMENT
    )
    query = query.order_by(answers.c.received_at, answers.c.source, answers.c.event_id)
    rows = connection.execute(_of_visible_orders(query, connection, principal)).all()
    texts = open_words(connection, vault, [comment for _, comment in rows])
    found: dict[str, list[str]] = {}
    for order_id, comment in rows:
        if comment in texts:
            found.setdefault(order_id, []).append(texts[comment])
    return found


def opened(connection: Connection, vault: Vault, found: Sequence[StoredAnswer]) -> list[StoredAnswer]:
    """These answers with their comments opened. Of a person who was erased they have none."""
    texts = open_words(connection, vault, [answer.comment for answer in found])
    return [structs.replace(answer, comment=texts.get(answer.comment or "")) for answer in found]


def opened_current(connection: Connection, vault: Vault, current: CurrentAnswer | None) -> CurrentAnswer | None:
    """A current answer with its comment opened."""
    if current is None:
        return None
    sealed = current.statement.comment
    texts = open_words(connection, vault, [sealed])
    return current._replace(statement=structs.replace(current.statement, comment=texts.get(sealed or "")))


def number_of_answers(connection: Connection, principal: Principal, order_id: str, contact_id: str, source: str) -> int:
    """How many answers of a contact to an order one source has sent."""
    given = answers.c.order_id == order_id, answers.c.contact_id == contact_id, answers.c.source == source
    query = select(func.count()).select_from(answers).where(*given)
    found: int = connection.execute(_of_visible_orders(query, connection, principal)).scalar_one()
    return found


def _of_visible_orders(query: Select[Any], connection: Connection, principal: Principal) -> Select[Any]:
    """The query of answers, for orders that the principal sees."""
    if principal.scope.is_everything:
        return query
    return query.join(orders, orders.c.order_id == answers.c.order_id).where(visible(connection, principal))


def stored_answer(row: Row[Any], principal: Principal) -> StoredAnswer:
    """A row of the table as an answer, its comment for those who may read words only."""
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
        comment=row.comment if principal.may(Permission.WORDS) else None,
        order_id=row.order_id,
        received_at=row.received_at,
        channel=row.channel,
    )
