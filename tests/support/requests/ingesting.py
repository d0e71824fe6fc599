"""Requests with events, and checks of the responses."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar.testing import TestClient

from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.write_queue import QueueLimits, WriteQueue
from pipeline.domain.setup import Setup
from pipeline.settings import Settings
from pipeline.store.people import api_keys
from pipeline.web.http.server import public_app
from pipeline.web.http.services import Services
from tests.support.builders import at
from tests.support.running.embedded import LEVELS

JSON, EVENT, BATCH = "application/json", "application/cloudevents+json", "application/cloudevents-batch+json"
LIMITS: dict[str, Any] = {"max_events_per_request": 20, "max_event_bytes": 20_000, "max_events_body_bytes": 50_000}


HEADERS = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
}


def _four_hours_later() -> datetime:
    return at(hours=4)


def services_of(
    runtime: EmbeddedRunner,
    submit: Callable[[Sequence[Incoming]], Any],
    now: Callable[[], datetime] = _four_hours_later,
    **limits: Any,
) -> Services:
    setup = Setup(LEVELS, 1.0, Settings().policy)
    return Services(runtime.store, setup, Settings(**LIMITS | limits), submit, now)


def problem(answer: Any, status: int) -> dict[str, Any]:
    """The body of a problem response, after checks that apply to all of them."""
    body: dict[str, Any] = answer.json()
    assert answer.status_code == status, body
    assert answer.headers["content-type"] == "application/problem+json"
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


@dataclass
class EventsEndpoint:
    """The public listener on a real write queue and database."""

    client: TestClient[Any]
    runtime: EmbeddedRunner
    services: Services
    key: str

    def post(self, body: bytes | str, media: str = EVENT, key: str | None = None, **headers: str) -> Any:
        auth = {"authorization": f"Bearer {self.key if key is None else key}", "content-type": media}
        return self.client.post("/v1/events", content=body, headers=auth | headers)

    def batch(self, *raws: bytes, media: str = BATCH, **headers: str) -> Any:
        return self.post(b"[" + b",".join(raws) + b"]", media, **headers)

    def make_key(self, name: str, history: bool = False) -> str:
        with self.runtime.engine.begin() as connection:
            return api_keys.create(connection, name, history, at())


@contextmanager
def open_endpoint(
    runtime: EmbeddedRunner, now: Callable[[], datetime] = _four_hours_later, **settings: Any
) -> Iterator[EventsEndpoint]:
    """The public listener on a real write queue, with a key that may send events."""
    writer = WriteQueue(runtime, QueueLimits(100, 1_000, 1 << 20), now)
    writer.start()

    async def _submit(batch: Sequence[Incoming]) -> IngestResult:
        return await asyncio.wrap_future(writer.submit(batch))

    services = services_of(runtime, _submit, now, **settings)
    with runtime.engine.begin() as connection:
        key = api_keys.create(connection, "erp", False, at())
    try:
        with TestClient(public_app(services)) as client:
            yield EventsEndpoint(client, runtime, services, key)
    finally:
        writer.stop()
