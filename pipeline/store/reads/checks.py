"""What `unvarnished doctor` reads from the database."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from pipeline.store.schema.orders import rollups
from pipeline.store.schema.people import people, sealing_keys


class SealedPhone(NamedTuple):
    """A phone number as it is stored, with the key it is sealed with."""

    wrapped_key: bytes
    phone: bytes


def server_time(connection: Connection) -> datetime | None:
    """The database server's clock, aware; None for SQLite, which has none of its own."""
    if connection.dialect.name == "sqlite":
        return None
    time: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return time


def any_sealed_phone(connection: Connection) -> SealedPhone | None:
    """Any sealed phone number; None if there is none yet."""
    sealed = select(sealing_keys.c.wrapped_key, people.c.phone).join(people, people.c.key_id == sealing_keys.c.key_id)
    query = sealed.where(people.c.phone.is_not(None)).limit(1)
    row = connection.execute(query).first()
    return None if row is None else SealedPhone(*row)


def dimension_values(connection: Connection) -> dict[str, list[str]]:
    """The values of each dimension that is counted, sorted. Not of combined levels, which repeat them."""
    query = select(rollups.c.dimension, rollups.c.value).distinct().where(rollups.c.dimension != "")
    found: dict[str, list[str]] = {}
    for dimension, value in connection.execute(query.order_by(rollups.c.dimension, rollups.c.value)):
        if "+" not in dimension:
            found.setdefault(dimension, []).append(value)
    return found
