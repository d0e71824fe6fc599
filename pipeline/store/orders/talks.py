"""Plans talks with customers. A talk is a day: what it is about, the pages of the account say."""

from datetime import date, datetime

from sqlalchemy import Connection

from pipeline.store.db.bulk import insert_once
from pipeline.store.schema.orders import talks


def plan(connection: Connection, account_id: str, day: date, by: str, now: datetime) -> bool:
    """Plan a talk. False: one is planned for that day."""
    row = {"account_id": account_id, "day": day.toordinal(), "planned_by": by, "planned_at": now}
    return insert_once(connection, talks, row)


def call_off(connection: Connection, account_id: str, day: date) -> bool:
    """Call off the talk of that day. False: none is planned."""
    this = talks.c.account_id == account_id, talks.c.day == day.toordinal()
    return connection.execute(talks.delete().where(*this)).rowcount == 1
