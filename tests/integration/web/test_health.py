"""Liveness, readiness and metrics of the internal listener."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from litestar.testing import TestClient

from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.write_queue import WriteQueue
from pipeline.settings import Settings
from pipeline.store.db.engine import connect
from pipeline.web.http.server import internal_app, public_app
from pipeline.web.http.services import Services
from pipeline.web.internal import health
from tests.support.limits import PATIENCE
from tests.support.requests.ingesting import problem, services_of
from tests.support.running.writing import busy, writing

TOKEN = "a-token-that-was-printed-at-start"
BEARER = {"authorization": f"Bearer {TOKEN}"}


async def _nothing(_: Sequence[Incoming]) -> IngestResult:
    raise AssertionError("nobody submits here")


@pytest.fixture
def services(runtime: EmbeddedRunner) -> Services:
    return services_of(runtime, _nothing)


@pytest.fixture
def client(services: Services) -> Iterator[TestClient[Any]]:
    with TestClient(internal_app(services, TOKEN)) as made:
        made.follow_redirects = False
        yield made


def test_health_needs_no_sign_in(client: TestClient[Any]) -> None:
    assert client.get("/livez").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}


def test_it_is_not_ready_while_the_database_is_unavailable(services: Services) -> None:
    unavailable = connect("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with TestClient(
        internal_app(replace(services, store=replace(services.store, engine=unavailable)), TOKEN)
    ) as client:
        assert client.get("/livez").status_code == 200
        answer = client.get("/readyz")
        assert "database" in problem(answer, 503)["detail"]
        assert answer.headers["retry-after"]
        assert "\nunvarnished_ready 0.0\n" in client.get("/metrics", headers=BEARER).text
    with TestClient(internal_app(services, TOKEN)) as client:
        assert "\nunvarnished_ready 1.0\n" in client.get("/metrics", headers=BEARER).text


def test_a_stalled_database_is_checked_once_at_a_time_and_not_waited_for(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = threading.Semaphore(0), threading.Event()

    def _stall(_: object) -> None:
        asked.release()
        answer.wait()

    monkeypatch.setattr(health, "_DATABASE_SECONDS", 0.05)
    monkeypatch.setattr(health._Database, "_query", _stall)
    with TestClient(internal_app(services, TOKEN)) as client:
        for _ in range(10):
            problem(client.get("/readyz"), 503)
        answer.set()
    assert asked.acquire(blocking=False)
    assert not asked.acquire(blocking=False), "once at a time"


class _Unavailable:
    """A write queue whose last transaction failed."""

    alive, unavailable, longest_wait = True, True, 0.0


def test_it_is_not_ready_unless_the_write_queue_works(
    runtime: EmbeddedRunner, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _ready(writer: WriteQueue) -> Any:
        with TestClient(internal_app(services, TOKEN, health.queue_problems(writer))) as client:
            return client.get("/readyz")

    with writing(runtime, is_open=False) as (writer, gate):
        assert _ready(writer).status_code == 200
        busy(writer, gate)
        monkeypatch.setattr(health, "_MAX_WAIT_SECONDS", 0)
        assert "wait longer" in problem(_ready(writer), 503)["detail"]
        monkeypatch.undo()
        gate.failures.append(KeyError("a bug"))
        gate.open.set()
        assert writer.ended.exception(PATIENCE)
        assert "stopped" in problem(_ready(writer), 503)["detail"]
    assert "cannot reach" in problem(_ready(_Unavailable()), 503)["detail"]  # type: ignore[arg-type]


def test_metrics_count_requests_by_route_and_contain_no_personal_data(
    client: TestClient[Any], services: Services
) -> None:
    problem(client.get("/metrics"), 401)
    client.get("/livez")
    client.get("/nothing/+447700900123")
    with TestClient(public_app(services)) as public:
        public.request("BREW", "/v1/events?phone=+447700900123")
    text = client.get("/metrics", headers=BEARER).text
    assert 'unvarnished_http_requests_total{listener="internal",method="GET",route="/livez",status="2xx"}' in text
    assert 'unvarnished_http_requests_total{listener="internal",method="GET",route="other",status="4xx"}' in text
    assert 'unvarnished_http_requests_total{listener="public",method="other",route="other",status="4xx"}' in text
    assert "447700900123" not in text
    assert "unvarnished_waiting_events" in text


def test_invalid_settings_are_refused() -> None:
    assert Settings(public_port=9000).public_url == "http://127.0.0.1:9000"
    assert Settings(public_url="https://ask.example.com/").public_url == "https://ask.example.com"
    for wrong in ({"public_url": "ask.example.com"}, {"sign_in_token": "short"}, {"public_port": 70_000}):
        with pytest.raises(ValueError, match="validation error"):
            Settings(**wrong)
