"""Reads of the report: each costs what happened in the period, or what is open now, never the history."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.incidents.incident import Incident
from pipeline.domain.reports.periods.calendar import begin_of, end_of
from pipeline.store.cases.reads import seen
from pipeline.store.db.bulk import among
from pipeline.store.incidents.incidents import incident_of
from pipeline.store.orders.memberships import visible
from pipeline.store.people.vault import Vault
from pipeline.store.reads.answers import StoredAnswer, opened, stored_answer
from pipeline.store.reads.incidents import visible_part
from pipeline.store.reads.visible_segments import segment_visible
from pipeline.store.schema.alerting.cases import cases
from pipeline.store.schema.alerting.incidents import incidents
from pipeline.store.schema.answers import HAS_COMMENT, answers
from pipeline.store.schema.orders import orders

_SPARE = 10  # more are opened than shown: the words of persons who were erased cannot be


class Drawn(NamedTuple):
    """Answers with words that were drawn by the rule, and how many there were to draw from."""

    answers: Sequence[StoredAnswer]
    of: int


class Closed(NamedTuple):
    """What ended in a period: incidents, and the number of cases by outcome (most frequent first)."""

    incidents: Sequence[Incident]
    cases: Sequence[tuple[str, int]]


def drawn_words(
    connection: Connection, principal: Principal, vault: Vault, first: date, last: date, limit: int
) -> Drawn:
    """`limit` of the answers with words that were received in these days (UTC) and that the principal sees, opened.

    Drawn by the smallest keyed hash (HMAC-SHA256 with this installation's key) of the period's first day and the
    answer's source and id. It depends on nothing that an answer says, and without the key nobody can foresee it.
    None for those who may not read words.
    """
    if not principal.may(Permission.WORDS):
        return Drawn([], 0)
    begin, end = begin_of(first), end_of(last)
    keys = answers.c.source, answers.c.event_id
    query = select(*keys).where(HAS_COMMENT, answers.c.received_at >= begin, answers.c.received_at < end)
    if not principal.scope.is_everything:
        query = query.join(orders, orders.c.order_id == answers.c.order_id).where(visible(connection, principal))
    received = [(row.source, row.event_id) for row in connection.execute(query)]
    lots = {key: vault.content_digest("\0".join(("drawn words", str(first), *key)).encode()) or "" for key in received}
    drawn = sorted(received, key=lots.__getitem__)[: limit + _SPARE]
    rows = connection.execute(
        select(answers).where(
            among(connection, answers.c.source, sorted({source for source, _ in drawn})),
            among(connection, answers.c.event_id, sorted(event_id for _, event_id in drawn)),
        )
    )
    place = {key: number for number, key in enumerate(drawn)}
    found = [stored_answer(row, principal) for row in rows if (row.source, row.event_id) in place]
    found.sort(key=lambda answer: place[answer.source, answer.id])
    readable = [answer for answer in opened(connection, vault, found) if answer.comment is not None]
    return Drawn(readable[:limit], len(received))


def closed_in(connection: Connection, principal: Principal, first: date, last: date) -> Closed:
    """The incidents that were resolved or closed in these days (UTC), the newest end first, and the cases closed in
    them by outcome, for those who may read cases.
    """
    begin, end = begin_of(first), end_of(last)
    ended = select(incidents).where(
        incidents.c.ended_at >= begin,
        incidents.c.ended_at < end,
        incidents.c.merged_into.is_(None),
        segment_visible(connection, incidents, principal),
    )
    rows = connection.execute(ended.order_by(incidents.c.ended_at.desc(), incidents.c.number.desc())).all()
    found = [visible_part(incident_of(row), principal) for row in rows]
    if not principal.may(Permission.CASES):
        return Closed(found, [])
    of_cases = select(cases.c.outcome, func.count()).where(cases.c.closed_at >= begin, cases.c.closed_at < end)
    of_cases = seen(of_cases, connection, principal).group_by(cases.c.outcome)
    outcomes = [(outcome or "", int(n)) for outcome, n in connection.execute(of_cases)]
    return Closed(found, sorted(outcomes, key=lambda one: (-one[1], one[0])))
