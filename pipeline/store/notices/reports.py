"""Reports by e-mail, one delivery for each recipient and period: sent once, whatever is killed when.

A row of `deliveries` like that of a notice, under the name of no receiver. Claimed with a lease (pending, with an
owner); `sending` is committed when the server has taken the address and nothing of the message was sent yet. Who finds
`sending` later cannot know whether it arrived, and sends nothing.
"""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, select

from pipeline.store.db.bulk import insert_new
from pipeline.store.notices.deliveries import MAX_REASON
from pipeline.store.schema.alerting.notices import deliveries

_RECEIVER = "(report)"  # no receiver has such a name
Claim = Literal["claimed", "delivered", "sending", "dead", "waiting"]
"""`claimed`: it is ours to send. `waiting`: another process has it, or it is to be tried later."""


class Key(NamedTuple):
    """The report of a period for a user."""

    user: str
    period: str

    @property
    def event_id(self) -> str:
        """What the delivery is stored under."""
        return f"{self.period} {self.user}"


class LeaseLost(Exception):
    """Another process has the delivery: this one was suspended for longer than its lease."""


def claim(connection: Connection, key: Key, owner: str, now: datetime, lease: timedelta) -> Claim:
    """Claim the delivery until `now` + `lease`, unless it is finished or not to be tried now."""
    insert_new(connection, deliveries, [_new(key, now)])
    row = connection.execute(select(deliveries).where(_this(key)).with_for_update()).one()
    if row.state != "pending":
        found: Claim = row.state
        return found
    if row.wake_at is not None and row.wake_at > now:
        return "waiting"
    values = {"owner": owner, "wake_at": now + lease, "attempt": row.attempt + 1}
    connection.execute(deliveries.update().where(_this(key)).values(values))
    return "claimed"


def begin(connection: Connection, key: Key, owner: str, now: datetime) -> None:
    """Note that the message is handed over from now on. Raises LeaseLost."""
    ours = and_(_this(key), deliveries.c.owner == owner, deliveries.c.state == "pending", deliveries.c.wake_at > now)
    if connection.execute(deliveries.update().where(ours).values(state="sending", wake_at=None)).rowcount != 1:
        raise LeaseLost


def finish(
    connection: Connection,
    key: Key,
    owner: str,
    state: Literal["delivered", "sending", "dead", "pending"],
    reason: str,
    now: datetime,
    wake_at: datetime | None = None,
) -> None:
    """Record what became of an attempt: `sending` if that is unknown, `pending` to try again at `wake_at`."""
    values = {"state": state, "reason": reason[:MAX_REASON], "wake_at": wake_at, "owner": None}
    values["finished_at"] = None if state == "pending" else now
    connection.execute(deliveries.update().where(_this(key), deliveries.c.owner == owner).values(values))


def first_tried(connection: Connection, key: Key) -> datetime:
    """When the delivery was first claimed."""
    found: datetime = connection.execute(select(deliveries.c.created_at).where(_this(key))).scalar_one()
    return found


def _new(key: Key, now: datetime) -> dict[str, object]:
    row = {"receiver": _RECEIVER, "event_id": key.event_id, "incident_id": key.user, "act": 0, "digest": False}
    return row | {"state": "pending", "reason": "", "attempt": 0, "created_at": now, "wake_at": now}


def _this(key: Key) -> ColumnElement[bool]:
    return and_(deliveries.c.receiver == _RECEIVER, deliveries.c.event_id == key.event_id)
