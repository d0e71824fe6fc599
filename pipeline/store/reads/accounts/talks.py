"""The talks with an account, past and planned."""

from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from pipeline.store.schema.orders import talks


class Talks(NamedTuple):
    """The newest talk that was held, and the next one that is planned, with who planned it."""

    last: date | None = None
    next: date | None = None
    by: str | None = None


def of_account(connection: Connection, account_id: str, today: date) -> Talks:
    """The talks with an account. A talk of today is still the next one."""
    mine, now = talks.c.account_id == account_id, today.toordinal()
    last = connection.execute(select(func.max(talks.c.day)).where(mine, talks.c.day < now)).scalar_one()
    planned = select(talks.c.day, talks.c.planned_by).where(mine, talks.c.day >= now).order_by(talks.c.day).limit(1)
    found = connection.execute(planned).one_or_none()
    held = None if last is None else date.fromordinal(last)
    return Talks(held) if found is None else Talks(held, date.fromordinal(found.day), found.planned_by)
