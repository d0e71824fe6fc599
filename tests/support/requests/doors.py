"""The routes of both doors on a runtime, and asks that were sent: where tests of forms, webhooks and phones start."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import and_

from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.ask_states import hashed
from pipeline.domain.asking.policy import Policy
from pipeline.settings import Settings
from pipeline.store.schema.asks import asks
from pipeline.store.unit_of_work import Setup
from pipeline.web.http import assets
from pipeline.web.http.headers import response_hook
from pipeline.web.http.problems import HANDLERS
from pipeline.web.http.services import Services
from tests.support.running.embedded import LEVELS, VAULT, take
from tests.support.builders import at, completed, contact, scanned

PUBLIC_URL = "https://ask.example.com"
PHONE = "+447700900123"
TOKEN = "k3J9xQm2vT7pLw4RzY8sNA"


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment


class Ticking(Clock):
    """A clock that never says the same moment twice, as real ones."""

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment


def services(runtime: EmbeddedRunner, clock: Clock, **settings: Any) -> Services:
    """An installation as routes see it."""

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


@contextmanager
def client(*handlers: Any) -> Iterator[TestClient[Litestar]]:
    """These routes as a listener mounts them, with its headers and errors."""
    app = Litestar(
        [*handlers, *assets.routes()],
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
    """An order that was delivered and asked about, the question sent with this link."""
    when = sent_at or at(hours=2)
    take(runtime, completed(order_id, time=when, contacts=[contact(**person)]), scanned(order_id, time=when))
    mark_sent(runtime, order_id, token, when, person.get("phone", PHONE))


def mark_sent(runtime: EmbeddedRunner, order_id: str, token: str, when: datetime, phone: str = PHONE) -> None:
    """What the dispatcher writes when the provider has taken the question."""
    life = {"state": "sent", "sent_at": when, "wake_at": None, "recipient": VAULT.phone_digest(phone)}
    with runtime.engine.begin() as connection:
        connection.execute(
            asks.update()
            .where(and_(asks.c.order_id == order_id, asks.c.reason.is_(None)))
            .values(form_token_hash=hashed(token), **life)
        )
