"""Appends acts and reads them back, newest first."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select

from pipeline.domain.access.acts import Act, ActKind
from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.store.schema.users import acts

_MAX_SUBJECT = 1_000
_MAX_ORIGIN = 100


class StoredAct(NamedTuple):
    """An act and its place in the record."""

    seq: int
    act: Act


def append(connection: Connection, act: Act) -> None:
    """Append an act. It becomes durable with the transaction that does what it records."""
    row = {
        "at": act.at,
        "who": act.who,
        "what": act.what,
        "subject": act.subject[:_MAX_SUBJECT],
        "origin": act.origin[:_MAX_ORIGIN],
        "details": act.details_text(),
    }
    connection.execute(acts.insert(), row)


def newest(
    connection: Connection, principal: Principal, limit: int, before: int | None = None, who: str | None = None
) -> Sequence[StoredAct]:
    """The newest acts, newest first: at most `limit`, with a place under `before`, of one principal if `who` is given.

    Who may not read acts gets none.
    """
    if not principal.may(Permission.ACTS):
        return []
    query = select(acts).order_by(acts.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(acts.c.seq < before)
    if who is not None:
        query = query.where(acts.c.who == who)
    return [
        StoredAct(
            row.seq, Act(row.at, row.who, ActKind(row.what), row.subject, row.origin, msgspec.json.decode(row.details))
        )
        for row in connection.execute(query)
    ]
