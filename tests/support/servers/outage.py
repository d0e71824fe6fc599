"""Outages of a database: unavailable or stalled during a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event, text


@contextmanager
def unavailable(engine: Engine) -> Iterator[None]:
    """Close all connections and refuse new ones with the driver's own error, as if the server were down."""

    over = False

    def _refuse(dialect: Any, *_: Any) -> None:
        if not over:
            raise dialect.loaded_dbapi.OperationalError("connection refused")

    event.listen(engine, "do_connect", _refuse)
    engine.dispose()
    yield
    over = True  # the listener stays: removing it would disturb a thread that connects at this moment


@contextmanager
def stalling(engine: Engine) -> Iterator[None]:
    """Lock the tables that the intake of a text needs: statements neither fail nor return."""
    with engine.begin() as lock_owner:  # on SQLite that is the lock already
        if engine.dialect.name == "postgresql":
            lock_owner.execute(text("LOCK TABLE inbound_messages, provider_callbacks IN ACCESS EXCLUSIVE MODE"))
        yield
