"""Requests with events, and checks of the responses."""

from collections.abc import Callable, Sequence
from typing import Any

from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.setup import Setup
from pipeline.settings import Settings
from pipeline.web.http.services import Services
from tests.support.builders import at
from tests.support.running.embedded import LEVELS

LIMITS: dict[str, Any] = {"max_events_per_request": 20, "max_event_bytes": 20_000, "max_events_body_bytes": 50_000}


HEADERS = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
}


def services_of(runtime: EmbeddedRunner, submit: Callable[[Sequence[Incoming]], Any], **limits: Any) -> Services:
    setup = Setup(LEVELS, 1.0, Settings().policy)
    return Services(runtime.store, setup, Settings(**LIMITS | limits), submit, lambda: at(hours=4))


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
