"""Deliveries of notices to receivers: claimed with a lease, recorded with their outcome.

Every unfinished delivery has a `wake_at`: when it may be sent, or when the lease on it ends.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, bindparam, exists, func, select

from pipeline.domain.notices.notice import Notice
from pipeline.domain.notices.routes import Decision, Send, Told, Traits
from pipeline.store.db import bulk
from pipeline.store.db.bulk import among, insert_new
from pipeline.store.db.locks import try_lock
from pipeline.store.notices import notices
from pipeline.store.schema.alerting.notices import deliveries, told
from pipeline.store.schema.alerting.notices import notices as notices_table

MAX_REASON = 200


class Delivery(NamedTuple):
    """A claimed delivery. `attempt`: from 1. `told`, `memory`: what the receiver has been told of this incident."""

    receiver: str
    notice: Notice
    route: int | None
    digest: bool
    attempt: int
    created_at: datetime
    told: Told = Told()
    memory: str | None = None


class Outcome(NamedTuple):
    """What became of an attempt. `wake_at`: when to try again; None: finished. `memory`: to be kept of the incident."""

    delivery: Delivery
    state: str
    reason: str
    wake_at: datetime | None
    memory: str | None = None
    refresh_at: datetime | None = None


class Backlog(NamedTuple):
    """The unfinished and the dead deliveries of a receiver, and when the oldest unfinished one was due."""

    pending: int
    oldest: datetime | None
    dead: int


def add(
    connection: Connection, receiver: str, routed: Iterable[tuple[Notice, Decision, int | None]], now: datetime
) -> None:
    """Store what was decided about notices for a receiver. What was decided before stays."""
    rows = [_row(receiver, *one, now) for one in routed]
    insert_new(connection, deliveries, rows)
    sent = {row["incident_id"] for row in rows if row["wake_at"] is not None}
    known = [{"receiver": receiver, "incident_id": each, "act": 0} for each in sorted(sent)]
    insert_new(connection, told, known)


def is_new(connection: Connection, receiver: str) -> bool:
    """Whether nothing was ever decided for a receiver."""
    rows = (select(table.c.receiver).where(table.c.receiver == receiver).limit(1) for table in (deliveries, told))
    return all(connection.execute(query).first() is None for query in rows)


def known(connection: Connection, receiver: str, incidents: Collection[str]) -> dict[str, Told]:
    """What a receiver knows of these incidents."""
    query = select(told.c.incident_id, told.c.act).where(
        told.c.receiver == receiver, among(connection, told.c.incident_id, incidents)
    )
    return {incident: Told(routed=True, act=act) for incident, act in connection.execute(query)}


def next_wake(connection: Connection, receivers: Collection[str]) -> datetime | None:
    """When the next delivery or refresh of these receivers is due; None: there is none."""
    waking = select(func.min(deliveries.c.wake_at)).where(deliveries.c.receiver.in_(receivers))
    refreshing = select(func.min(told.c.refresh_at)).where(told.c.receiver.in_(receivers))
    found = [connection.execute(query).scalar() for query in (waking, refreshing)]
    return min((moment for moment in found if moment is not None), default=None)


def claim(
    connection: Connection, receiver: str, traits: Traits, owner: str, now: datetime, lease: timedelta, limit: int
) -> list[Delivery]:
    """Claim up to `limit` deliveries, and all of a digest that is due. One at a time for each incident.

    A receiver of every change gets them in their order. For others an older change is superseded by a newer one.
    """
    if not try_lock(connection, "receiver", {receiver}):
        return []
    rows = connection.execute(_due(receiver, traits, now, limit)).all()
    if not traits.every_change:
        rows = _newest(connection, receiver, rows, now)
    if any(row.digest for row in rows):
        rows = [row for row in rows if not row.digest] + [*connection.execute(_due_digest(receiver, now))]
    found = notices.read(connection, [row.event_id for row in rows])
    claimed = [row for row in rows if row.event_id in found]
    _lease(connection, receiver, [row.event_id for row in claimed], owner, now + lease)
    memories = _memories(connection, receiver, {row.incident_id for row in claimed})
    return [
        Delivery(
            receiver,
            found[row.event_id],
            row.route,
            row.digest,
            row.attempt + 1,
            row.created_at,
            *memories.get(row.incident_id, (Told(), None)),
        )
        for row in claimed
    ]


def record(connection: Connection, outcomes: Sequence[Outcome], owner: str, now: datetime) -> None:
    """Record outcomes of claimed deliveries. One whose lease another process has meanwhile is left to that one."""
    ours = _leased(connection, [outcome.delivery for outcome in outcomes], owner)
    kept = [outcome for outcome in outcomes if _key(outcome.delivery) in ours]
    if kept:
        connection.execute(_FINISH, [_finished(outcome, now) for outcome in kept])
    delivered = [outcome for outcome in kept if outcome.state == "delivered"]
    if delivered:
        connection.execute(_REMEMBER, [_remembered(outcome) for outcome in delivered])


def release(connection: Connection, unsent: Sequence[Delivery], owner: str, now: datetime) -> None:
    """Make claimed deliveries that were not attempted pending again, as they were before."""
    ours = _leased(connection, unsent, owner)
    given_back = [{"b_receiver": receiver, "b_event_id": event_id, "b_wake_at": now} for receiver, event_id in ours]
    if given_back:
        connection.execute(_RELEASE, given_back)


def claim_refresh(
    connection: Connection, receiver: str, now: datetime, every: timedelta, limit: int
) -> list[tuple[str, str]]:
    """Claim the incidents, with memories, whose state the receiver has to be told again. Due again after `every`."""
    query = (
        select(told.c.incident_id, told.c.memory)
        .where(told.c.receiver == receiver, told.c.refresh_at <= now)
        .order_by(told.c.refresh_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = [(incident, memory) for incident, memory in connection.execute(query) if memory is not None]
    _set_refresh(connection, receiver, [incident for incident, _ in found], now + every)
    return found


def end_refresh(connection: Connection, receiver: str, incidents: Collection[str]) -> None:
    """No longer tell the receiver these incidents' state."""
    _set_refresh(connection, receiver, incidents, None)


def backlogs(connection: Connection) -> dict[str, Backlog]:
    """The backlog of every receiver that ever had a delivery."""
    pending = func.count(deliveries.c.wake_at)
    dead = func.count().filter(deliveries.c.state == "dead")
    query = select(deliveries.c.receiver, pending, func.min(deliveries.c.wake_at), dead).group_by(deliveries.c.receiver)
    return {receiver: Backlog(*rest) for receiver, *rest in connection.execute(query)}


def delays(connection: Connection, receiver: str) -> list[float]:
    """Seconds from each notice's commit to its recorded delivery."""
    query = (
        select(notices_table.c.created_at, deliveries.c.finished_at)
        .join_from(deliveries, notices_table, deliveries.c.event_id == notices_table.c.event_id)
        .where(deliveries.c.receiver == receiver, deliveries.c.state == "delivered")
    )
    return [(row.finished_at - row.created_at).total_seconds() for row in connection.execute(query)]


def last_failures(connection: Connection) -> dict[str, str]:
    """Why the newest dead delivery of each receiver failed, or the newest that is retried."""
    query = (
        select(deliveries.c.receiver, deliveries.c.reason)
        .where(deliveries.c.state.in_(["pending", "sending", "dead"]), deliveries.c.reason != "")
        .order_by(deliveries.c.created_at)
    )
    return {row.receiver: row.reason for row in connection.execute(query)}


def retry_dead(connection: Connection, receiver: str, now: datetime) -> int:
    """Make the dead letters of a receiver pending again. Returns their number."""
    changed = connection.execute(
        deliveries.update()
        .where(deliveries.c.receiver == receiver, deliveries.c.state == "dead")
        .values(state="pending", wake_at=now, created_at=now, attempt=0, finished_at=None)
    )
    return changed.rowcount


def _row(receiver: str, notice: Notice, decision: Decision, route: int | None, now: datetime) -> bulk.Row:
    send = decision if isinstance(decision, Send) else None
    return {
        "receiver": receiver,
        "event_id": notice.id,
        "incident_id": notice.data.incident_id,
        "act": notice.data.act,
        "state": "pending" if send else "muted",
        "reason": "" if send else str(decision),
        "route": route,
        "digest": send is not None and send.digest,
        "attempt": 0,
        "created_at": now,
        "wake_at": send.at if send else None,
        "finished_at": None if send else now,
    }


def _due(receiver: str, traits: Traits, now: datetime, limit: int) -> Any:
    """Due deliveries, oldest first, without those whose incident has one on its way or, in order, an earlier one."""
    other = deliveries.alias("other")
    same = and_(
        other.c.receiver == receiver,
        other.c.incident_id == deliveries.c.incident_id,
        other.c.event_id != deliveries.c.event_id,
        other.c.wake_at.is_not(None),
    )
    on_its_way = and_(other.c.state == "sending", other.c.wake_at > now)
    blocking = and_(same, other.c.act < deliveries.c.act) if traits.every_change else and_(same, on_its_way)
    return (
        select(deliveries)
        .where(deliveries.c.receiver == receiver, deliveries.c.wake_at <= now, ~exists().where(blocking))
        .order_by(deliveries.c.wake_at, deliveries.c.act)
        .limit(limit)
        .with_for_update(skip_locked=True, of=deliveries)
    )


def _due_digest(receiver: str, now: datetime) -> Any:
    """Every due delivery of the receiver's digest, the newest of each incident first."""
    return (
        select(deliveries)
        .where(deliveries.c.receiver == receiver, deliveries.c.wake_at <= now, deliveries.c.digest.is_(True))
        .order_by(deliveries.c.act.desc())
        .with_for_update(skip_locked=True)
    )


def _newest(connection: Connection, receiver: str, rows: Sequence[Row[Any]], now: datetime) -> list[Row[Any]]:
    """Those that no newer change supersedes: one that waits, or that the receiver was told. Finishes all older ones."""
    incidents = {row.incident_id for row in rows}
    in_incidents = among(connection, deliveries.c.incident_id, incidents)
    query = select(deliveries).where(deliveries.c.receiver == receiver, deliveries.c.wake_at.is_not(None), in_incidents)
    waiting = connection.execute(query).all()
    newest = {incident: each.act + 1 for incident, each in known(connection, receiver, incidents).items()}
    for row in waiting:
        newest[row.incident_id] = max(newest.get(row.incident_id, 0), row.act)
    _supersede(connection, receiver, [row for row in waiting if row.act < newest[row.incident_id]], now)
    return [row for row in rows if row.digest or row.act >= newest[row.incident_id]]


def _supersede(connection: Connection, receiver: str, rows: Sequence[Row[Any]], now: datetime) -> None:
    """Finish these, except for a digest, which takes the newest, and those on their way."""
    older = [row for row in rows if not row.digest and (row.state == "pending" or row.wake_at <= now)]
    for row in (row for row in older if row.state == "sending"):  # its sender died: the receiver may have it
        same = (told.c.receiver == receiver, told.c.incident_id == row.incident_id, told.c.act < row.act)
        connection.execute(told.update().where(*same).values(act=row.act))
    if older:
        event_ids = among(connection, deliveries.c.event_id, [row.event_id for row in older])
        connection.execute(
            deliveries.update()
            .where(deliveries.c.receiver == receiver, event_ids)
            .values(state="superseded", reason="a newer change", wake_at=None, owner=None, finished_at=now)
        )


def _lease(connection: Connection, receiver: str, event_ids: Collection[str], owner: str, until: datetime) -> None:
    if event_ids:
        connection.execute(
            deliveries.update()
            .where(deliveries.c.receiver == receiver, among(connection, deliveries.c.event_id, event_ids))
            .values(state="sending", owner=owner, wake_at=until, attempt=deliveries.c.attempt + 1)
        )


def _memories(connection: Connection, receiver: str, incidents: Collection[str]) -> dict[str, tuple[Told, str | None]]:
    query = select(told.c.incident_id, told.c.act, told.c.memory).where(
        told.c.receiver == receiver, among(connection, told.c.incident_id, incidents)
    )
    return {incident: (Told(True, act), memory) for incident, act, memory in connection.execute(query)}


def _set_refresh(connection: Connection, receiver: str, incidents: Collection[str], at: datetime | None) -> None:
    if incidents:
        connection.execute(
            told.update()
            .where(told.c.receiver == receiver, among(connection, told.c.incident_id, incidents))
            .values(refresh_at=at)
        )


def _leased(connection: Connection, claimed: Iterable[Delivery], owner: str) -> set[tuple[str, str]]:
    """The keys of those that this owner still has; locked until the transaction ends."""
    by_receiver: dict[str, list[str]] = {}
    for delivery in claimed:
        by_receiver.setdefault(delivery.receiver, []).append(delivery.notice.id)
    found = set[tuple[str, str]]()
    for receiver, event_ids in by_receiver.items():
        query = select(deliveries.c.event_id).where(
            deliveries.c.receiver == receiver,
            among(connection, deliveries.c.event_id, event_ids),
            deliveries.c.owner == owner,
        )
        found.update((receiver, event_id) for event_id in connection.execute(query.with_for_update()).scalars())
    return found


def _key(delivery: Delivery) -> tuple[str, str]:
    return delivery.receiver, delivery.notice.id


def _finished(outcome: Outcome, now: datetime) -> bulk.Row:
    receiver, event_id = _key(outcome.delivery)
    return {
        "b_receiver": receiver,
        "b_event_id": event_id,
        "b_state": outcome.state,
        "b_reason": outcome.reason[:MAX_REASON],
        "b_wake_at": outcome.wake_at,
        "b_finished_at": now if outcome.wake_at is None else None,
    }


def _remembered(outcome: Outcome) -> bulk.Row:
    data = outcome.delivery.notice.data
    return {
        "b_receiver": outcome.delivery.receiver,
        "b_incident_id": data.incident_id,
        "b_act": data.act,
        "b_memory": outcome.memory,
        "b_refresh_at": outcome.refresh_at,
    }


# Built once: executed for every delivery.
_THIS = and_(deliveries.c.receiver == bindparam("b_receiver"), deliveries.c.event_id == bindparam("b_event_id"))
_FINISH = (
    deliveries.update()
    .where(_THIS)
    .values(
        state=bindparam("b_state"),
        reason=bindparam("b_reason"),
        wake_at=bindparam("b_wake_at"),
        finished_at=bindparam("b_finished_at"),
        owner=None,
    )
)
_RELEASE = (
    deliveries.update()
    .where(_THIS)
    .values(state="pending", wake_at=bindparam("b_wake_at"), attempt=deliveries.c.attempt - 1, owner=None)
)
_REMEMBER = (
    told.update()
    .where(
        told.c.receiver == bindparam("b_receiver"),
        told.c.incident_id == bindparam("b_incident_id"),
        told.c.act <= bindparam("b_act"),
    )
    .values(act=bindparam("b_act"), memory=bindparam("b_memory"), refresh_at=bindparam("b_refresh_at"))
)
