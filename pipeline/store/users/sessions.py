"""Sessions of browsers: created at sign-in, ended by sign-out and by two limits."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, select

from pipeline.store.schema.users import sessions
from pipeline.store.users.secrets import digest_of, new_secret

TOUCH_EVERY = timedelta(minutes=1)  # how exact the idle limit is: not every request writes


class Limits(NamedTuple):
    """How long a session lasts: without a request, and in all."""

    idle: timedelta
    absolute: timedelta


class Session(NamedTuple):
    """A session that works. `user_name` None: of the start token. `stale`: `touch` is due."""

    digest: str
    user_name: str | None
    stale: bool


def create(connection: Connection, user_name: str | None, limits: Limits, now: datetime) -> str:
    """Create a session and return its id. Removes those that ended, so that the table does not grow."""
    ended = (sessions.c.created_at < now - limits.absolute) | (sessions.c.seen_at < now - limits.idle)
    connection.execute(sessions.delete().where(ended))
    session_id = new_secret()
    row = {"digest": digest_of(session_id), "user_name": user_name, "created_at": now, "seen_at": now}
    connection.execute(sessions.insert(), row)
    return session_id


def find(connection: Connection, session_id: str, limits: Limits, now: datetime) -> Session | None:
    """The session with that id; None if there is none or it has ended."""
    row = connection.execute(select(sessions).where(sessions.c.digest == digest_of(session_id))).one_or_none()
    if row is None or now - row.created_at > limits.absolute or now - row.seen_at > limits.idle:
        return None
    return Session(row.digest, row.user_name, now - row.seen_at > TOUCH_EVERY)


def touch(connection: Connection, session: Session, now: datetime) -> None:
    """Note that somebody used the session."""
    connection.execute(sessions.update().where(sessions.c.digest == session.digest).values(seen_at=now))


def end(connection: Connection, session_id: str) -> None:
    """End one session."""
    connection.execute(sessions.delete().where(sessions.c.digest == digest_of(session_id)))


def end_of(connection: Connection, user_name: str | None) -> None:
    """End all sessions of a user; None: those of the start token."""
    connection.execute(sessions.delete().where(sessions.c.user_name.is_not_distinct_from(user_name)))
