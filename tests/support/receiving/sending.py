"""Senders of notices in a test's process, the files that configure them, and what became of each notice."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text

from pipeline.consumers.notifying.sender import NoticeSender
from pipeline.notifiers.receivers import registry
from pipeline.notifiers.receivers.configuration import parse
from pipeline.settings import Settings
from pipeline.store.db.engine import reading
from tests.support.receiving.hooks import HookServer
from tests.support.running.embedded import embedded

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def hook(server: HookServer, name: str = "erp") -> str:
    return (
        f'[[receivers]]\nname = "{name}"\ntype = "webhook"\nurl = "{server.url}/"\nsecret = "{SECRET}"\n'
        f'allow_private_addresses = true\n[[routes]]\nreceivers = ["{name}"]\n'
    )


def desk(extra: str = "") -> str:
    receiver = '[[receivers]]\nname = "desk"\ntype = "email"\nto = ["a@example.com"]\n'
    return f'{receiver}[[routes]]\nreceivers = ["desk"]\n{extra}'


class Clock:
    """The time, which a test moves on."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def sender(
    engine: Engine,
    file: str,
    now: Callable[[], datetime] | None = None,
    smtp: Mapping[str, Any] | None = None,
    **how: object,
) -> NoticeSender:
    settings = Settings(mail_from="quality@example.com", **(smtp or {}))
    store = embedded(engine.url.render_as_string(hide_password=False)).store
    return NoticeSender(store, registry.build(parse(file), settings), now or Clock(), **how)  # type: ignore[arg-type]


@contextmanager
def sending(
    engine: Engine,
    file: str,
    now: Callable[[], datetime] | None = None,
    smtp: Mapping[str, Any] | None = None,
    **how: object,
) -> Iterator[NoticeSender]:
    running = sender(engine, file, now, smtp, **how)
    running.start()
    try:
        yield running
        assert running.alive
    finally:
        running.stop()
        running._store.engine.dispose()


def states(engine: Engine, receiver: str) -> list[tuple[str, str]]:
    """State and reason of each delivery, in the order of the acts."""
    query = text("SELECT state, reason FROM deliveries WHERE receiver = :receiver ORDER BY incident_id, act")
    with reading(engine) as connection:
        return [(state, reason) for state, reason in connection.execute(query, {"receiver": receiver})]


def all_are(engine: Engine, receiver: str, state: str, n: int) -> bool:
    return [each for each, _ in states(engine, receiver)] == [state] * n


def failures(engine: Engine, receiver: str) -> list[str]:
    """Why attempts that will be repeated have failed."""
    return [reason for state, reason in states(engine, receiver) if state == "pending" and reason]
