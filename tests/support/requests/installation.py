"""The routes of an installation on a runner, and sent asks: the start of tests of forms, webhooks and phones."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.testing import TestClient
from sqlalchemy import and_

from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.asking.ask_states import hashed
from pipeline.domain.asking.policy import Policy
from pipeline.domain.setup import Setup
from pipeline.settings import Settings
from pipeline.store.schema.asks import asks
from pipeline.web.http import assets
from pipeline.web.http.headers import response_hook
from pipeline.web.http.problems import HANDLERS
from pipeline.web.http.services import Services
from tests.support.builders import at, completed, contact, scanned
from tests.support.running.embedded import LEVELS, VAULT, ingest

PUBLIC_URL = "https://ask.example.com"
PHONE = "+447700900123"
TOKEN = "k3J9xQm2vT7pLw4RzY8sNA"


class Clock:
    """A clock that tests set."""

    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment


class Ticking(Clock):
    """A clock that, like real ones, never returns the same time twice."""

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment


def services(runtime: EmbeddedRunner, clock: Clock, **settings: Any) -> Services:
    """The services that routes use."""

    async def _submit(batch: Sequence[Incoming]) -> IngestResult:
        return await asyncio.to_thread(runtime.ingest, batch)

    known = {"public_url": PUBLIC_URL} | settings
    return Services(
        store=runtime.store,
        setup=Setup(LEVELS, 1.0, Policy()),
        settings=Settings(**known),
        submit=_submit,
        now=clock.now,
    )


def as_local(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """A guard that lets everybody in as `local`, for tests of routes that are not about users."""
    connection.scope["user"] = LOCAL


@contextmanager
def client(*handlers: Any) -> Iterator[TestClient[Litestar]]:
    """A client of these routes with every permission, with the headers and error handlers of a listener."""
    app = Litestar(
        [*handlers, *assets.routes()],
        guards=[as_local],
        before_send=[response_hook("public")],
        exception_handlers=HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    with TestClient(app, base_url="http://proxy.internal:9999") as made:
        yield made


def sent(
    runtime: EmbeddedRunner, order_id: str = "SO-1", token: str = TOKEN, sent_at: datetime | None = None, **person: Any
) -> None:
    """Ingest a delivered order whose question was sent with this link."""
    when = sent_at or at(hours=2)
    ingest(runtime, completed(order_id, time=when, contacts=[contact(**person)]), scanned(order_id, time=when))
    mark_sent(runtime, order_id, token, when, person.get("phone", PHONE))


def mark_sent(runtime: EmbeddedRunner, order_id: str, token: str, when: datetime, phone: str = PHONE) -> None:
    """Store what the dispatcher stores once the provider has accepted the question."""
    sent_ask = {"state": "sent", "sent_at": when, "wake_at": None, "recipient": VAULT.phone_digest(phone)}
    with runtime.engine.begin() as connection:
        connection.execute(
            asks.update()
            .where(and_(asks.c.order_id == order_id, asks.c.reason.is_(None)))
            .values(form_token_hash=hashed(token), **sent_ask)
        )
