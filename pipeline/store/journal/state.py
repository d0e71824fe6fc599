"""Named facts of an installation: how far the journal and its processing are, and the frozen configuration."""

from datetime import UTC, datetime

from sqlalchemy import Connection, select, text

from pipeline.store.db.bulk import insert_new, upsert
from pipeline.store.schema.journal import state

HEAD = "journal.head"  # the last sequence number of the journal, in embedded mode
POSITION = "runner.position"  # the sequence number of the last event processed, in embedded mode
SEALING = "sealing"  # words of an earlier version are to be sealed, and how far that is; missing: none
CLOCK = "runner.clock"  # the time of the newest event or tick processed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ADVANCE = text(
    "INSERT INTO state (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value "
    "WHERE CAST(excluded.value AS timestamptz) > CAST(state.value AS timestamptz)"
)


def get(connection: Connection, name: str, lock: bool = False) -> str | None:
    """The value of a fact, None if it is not set. With `lock` its row is locked until the transaction ends."""
    query = select(state.c.value).where(state.c.name == name)
    return connection.execute(query.with_for_update() if lock else query).scalar()


def put(connection: Connection, name: str, value: str) -> None:
    """Set a fact."""
    upsert(connection, state, [{"name": name, "value": value}])


def put_progress(connection: Connection, clock: datetime, position: int | None) -> None:
    """Set the clock, and the sequence number of the last event processed if there is one."""
    facts = {CLOCK: as_text(clock)} if position is None else {CLOCK: as_text(clock), POSITION: str(position)}
    upsert(connection, state, [{"name": name, "value": value} for name, value in facts.items()])


def settle(connection: Connection, name: str, value: str) -> str:
    """Set a fact that never changes again. Returns the value that counts: this one, or the one that was set earlier."""
    insert_new(connection, state, [{"name": name, "value": value}])
    return get(connection, name) or value


def remove(connection: Connection, name: str) -> None:
    """Forget a fact."""
    connection.execute(state.delete().where(state.c.name == name))


def advance(connection: Connection, name: str, moment: datetime) -> None:
    """Set a fact to an instant unless it is a later one already. PostgreSQL only."""
    connection.execute(_ADVANCE, {"name": name, "value": as_text(moment)})


def as_text(moment: datetime) -> str:
    """An instant as the state table stores it: ISO 8601 in UTC."""
    return moment.astimezone(UTC).isoformat()


def clock_of(connection: Connection) -> datetime:
    """How far the time of this installation has come, in UTC: that of the newest event or tick processed."""
    value = get(connection, CLOCK)
    return EPOCH if value is None else datetime.fromisoformat(value)
