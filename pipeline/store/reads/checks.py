"""What `unvarnished doctor` and the readiness check read from the database."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from pipeline.store.schema.journal import state
from pipeline.store.schema.people import people


class SealedPhone(NamedTuple):
    """A phone number as it is stored, with the key it is sealed with."""

    wrapped_key: bytes
    phone: bytes


def ping(connection: Connection) -> None:
    """Read at most one row. Raises SQLAlchemyError if the database is unavailable or has no schema."""
    connection.execute(select(state.c.name).limit(1)).first()


def server_time(connection: Connection) -> datetime | None:
    """The database server's clock, aware; None for SQLite, which has none of its own."""
    if connection.dialect.name == "sqlite":
        return None
    time: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return time


def any_sealed_phone(connection: Connection) -> SealedPhone | None:
    """Any sealed phone number; None if there is none yet."""
    query = select(people.c.wrapped_key, people.c.phone).where(people.c.phone.is_not(None)).limit(1)
    row = connection.execute(query).first()
    return None if row is None else SealedPhone(*row)
