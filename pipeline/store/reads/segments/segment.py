"""What is known of segments besides their figures: open alerts, incidents, accounts and the newest comments."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.segments import Segment
from pipeline.domain.incidents.incident import PREFIX
from pipeline.store.orders.memberships import contains, visible
from pipeline.store.reads.answers import StoredAnswer, stored_answer
from pipeline.store.reads.visible_segments import segment_visible
from pipeline.store.schema.alerting.incidents import incidents
from pipeline.store.schema.answers import HAS_COMMENT, answers
from pipeline.store.schema.evidence import alerts, pairs
from pipeline.store.schema.orders import orders

_COMMENTS_SEARCHED = 2_000
"""The newest comments of the fleet among which those of a segment are found: more would be read for a quiet one."""
_PAIRS_READ = 2_000
"""The newest counted answers of a segment whose accounts are listed."""


class Notice(NamedTuple):
    """What is open about a segment: kinds of alerts, and the numbers of incidents as their identities."""

    kinds: tuple[str, ...] = ()
    incidents: tuple[str, ...] = ()


class AccountAnswers(NamedTuple):
    """An account's counted answers about one segment, and how many of them deny that the delivery was on time."""

    account: str
    answered: int
    denied: float


def notices(connection: Connection, principal: Principal, dimension: str) -> Mapping[str, Notice]:
    """What is open about the segments of a level that the principal sees, by segment."""
    open_alerts = select(alerts.c.value, alerts.c.kind).where(
        alerts.c.state == "open", alerts.c.dimension == dimension, segment_visible(connection, alerts, principal)
    )
    kinds: dict[str, list[str]] = {}
    for value, kind in connection.execute(open_alerts.order_by(alerts.c.value, alerts.c.kind)):
        kinds.setdefault(value, []).append(kind)
    going_on = select(incidents.c.value, incidents.c.number).where(
        incidents.c.ended_at.is_(None),
        incidents.c.dimension == dimension,
        segment_visible(connection, incidents, principal),
    )
    numbers: dict[str, list[str]] = {}
    for value, number in connection.execute(going_on.order_by(incidents.c.number)):
        numbers.setdefault(value, []).append(f"{PREFIX}{number}")
    return {
        value: Notice(tuple(kinds.get(value, ())), tuple(numbers.get(value, ())))
        for value in kinds.keys() | numbers.keys()
    }


def accounts_of(connection: Connection, principal: Principal, segment: Segment, limit: int) -> list[AccountAnswers]:
    """The accounts with the newest counted answers about the arrival in a segment, those that deny most first.

    None for a principal whose scope does not contain the segment.
    """
    if not principal.scope.is_everything and not principal.scope.sees_segment(*segment):
        return []
    newest = (
        select(pairs.c.account_id, pairs.c.x)
        .where(pairs.c.dimension == segment.dimension, pairs.c.value == segment.value, pairs.c.signal == "on_time")
        .order_by(pairs.c.n.desc())
        .limit(_PAIRS_READ)
        .subquery()
    )
    denied = func.sum(newest.c.x)
    query = select(newest.c.account_id, func.count(), denied).group_by(newest.c.account_id)
    query = query.order_by(denied.desc(), func.count().desc(), newest.c.account_id).limit(limit)
    return [AccountAnswers(account, answered, float(x)) for account, answered, x in connection.execute(query)]


def comments_of(connection: Connection, principal: Principal, segment: Segment, limit: int) -> list[StoredAnswer]:
    """The newest answers with a comment about a segment's orders that the principal sees, newest first: those among
    the newest of all. None for those who may not read words.
    """
    if not principal.may(Permission.WORDS):
        return []
    newest = answers.c.received_at.desc(), answers.c.source.desc(), answers.c.event_id.desc()
    searched = (
        select(answers.c.source, answers.c.event_id).where(HAS_COMMENT).order_by(*newest).limit(_COMMENTS_SEARCHED)
    ).subquery()
    here = (searched.c.source == answers.c.source) & (searched.c.event_id == answers.c.event_id)
    query = (
        select(answers)
        .join(searched, here)
        .join(orders, orders.c.order_id == answers.c.order_id)
        .where(visible(connection, principal), contains(connection, segment))
        .order_by(*newest)
        .limit(limit)
    )
    return [stored_answer(row, principal) for row in connection.execute(query)]
