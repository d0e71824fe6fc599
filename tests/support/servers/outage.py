"""A database that is away, or that stalls, for as long as a test wants."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event, text


@contextmanager
def away(engine: Engine) -> Iterator[None]:
    """Every connection is gone, and none can be made: the driver's own error, as with a server that is down."""

    def _refuse(dialect: Any, *_: Any) -> None:
        raise dialect.loaded_dbapi.OperationalError("connection refused")

    event.listen(engine, "do_connect", _refuse)
    engine.dispose()
    yield
    event.remove(engine, "do_connect", _refuse)


@contextmanager
def stalling(engine: Engine) -> Iterator[None]:
    """Somebody holds the lock that taking in a text needs: nothing fails, and nothing comes back."""
    with engine.begin() as holder:  # on SQLite that is the lock already
        if engine.dialect.name == "postgresql":
            holder.execute(text("LOCK TABLE inbound_messages, provider_callbacks IN ACCESS EXCLUSIVE MODE"))
        yield
