"""The links in questions: each opens one question to one contact."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from pipeline.store.schema.asks import ASKED_AT, asks


class LinkedQuestion(NamedTuple):
    """The question that a link opens, and when it was asked."""

    order_id: str
    contact_id: str
    purpose: str
    asked_at: datetime


def question_of(connection: Connection, token_hash: str) -> LinkedQuestion | None:
    """The question that a link's token of this hash opens; None: there is no such link."""
    columns = asks.c.order_id, asks.c.contact_id, asks.c.purpose, ASKED_AT.label("asked_at")
    row = connection.execute(select(*columns).where(asks.c.form_token_hash == token_hash)).first()
    return None if row is None else LinkedQuestion(*row)


def known_hashes(connection: Connection, hashes: Collection[str]) -> set[str]:
    """Which of these are hashes of a link's token, in one query."""
    query = select(asks.c.form_token_hash).where(asks.c.form_token_hash.in_(hashes))
    return set(connection.execute(query).scalars())
