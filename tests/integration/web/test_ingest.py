"""`POST /v1/events`: what is accepted, what is refused and why, and who may send."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.write_queue import Busy, QueueLimits, WriteQueue
from pipeline.store.db.engine import reading
from pipeline.store.people import api_keys
from pipeline.store.schema.asks import asks
from pipeline.store.schema.journal import dead_letters, journal
from pipeline.store.schema.orders import orders
from pipeline.web.http.server import public_app
from pipeline.web.http.services import Services
from tests.support.builders import answered, asked, at, cloud, completed, repromised, scanned
from tests.support.malformed import MALFORMED
from tests.support.requests.ingesting import HEADERS, LIMITS, problem, services_of
from tests.support.stored import rows

JSON, EVENT, BATCH = "application/json", "application/cloudevents+json", "application/cloudevents-batch+json"


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

    def batch(self, *raws: bytes, media: str = BATCH) -> Any:
        return self.post(b"[" + b",".join(raws) + b"]", media)

    def make_key(self, name: str, history: bool = False) -> str:
        with self.runtime.engine.begin() as connection:
            return api_keys.create(connection, name, history, at())


@pytest.fixture
def endpoint(runtime: EmbeddedRunner) -> Iterator[EventsEndpoint]:
    writer = WriteQueue(runtime, QueueLimits(100, 1_000, 1 << 20), lambda: at(hours=4))
    writer.start()

    async def _submit(batch: Sequence[Incoming]) -> IngestResult:
        return await asyncio.wrap_future(writer.submit(batch))

    services = services_of(runtime, _submit)
    with runtime.engine.begin() as connection:
        key = api_keys.create(connection, "erp", False, at())
    with TestClient(public_app(services)) as client:
        yield EventsEndpoint(client, runtime, services, key)
    writer.stop()


def test_an_event_is_durable_processed_and_answered(endpoint: EventsEndpoint) -> None:
    answer = endpoint.post(completed())
    assert (answer.status_code, answer.json()) == (202, {"new": 1, "duplicates": 0})
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert [row["order_id"] for row in rows(endpoint.runtime, orders)] == ["SO-1"]
    assert rows(endpoint.runtime, journal)[0]["received_at"] == at(hours=4), "received now, regardless of its own time"
    assert endpoint.post(completed()).json() == {"new": 0, "duplicates": 1}
    assert endpoint.post(scanned(time=at(hours=2))).status_code == 202
    assert len(rows(endpoint.runtime, asks)) == 1


@pytest.mark.parametrize("media", [BATCH, JSON, JSON + "; charset=utf-8"])
def test_a_batch_is_accepted_as_a_whole_and_counted(endpoint: EventsEndpoint, media: str) -> None:
    endpoint.post(completed("SO-1"))
    answer = endpoint.batch(completed("SO-1"), completed("SO-2"), repromised("SO-2", at(), at(days=2)), media=media)
    assert (answer.status_code, answer.json()) == (202, {"new": 2, "duplicates": 1})


def test_plain_json_may_be_one_event(endpoint: EventsEndpoint) -> None:
    assert endpoint.post(b"\n " + completed(), JSON).json() == {"new": 1, "duplicates": 0}


def test_an_invalid_event_is_refused_by_field_and_not_stored(endpoint: EventsEndpoint) -> None:
    for name, (raw, field) in MALFORMED.items():
        status, named = (413, "") if len(raw) > LIMITS["max_event_bytes"] else (422, field)
        assert problem(endpoint.post(raw), status).get("field", "") == named, name
    assert rows(endpoint.runtime, journal) == rows(endpoint.runtime, dead_letters) == []


def test_valid_events_of_a_batch_are_accepted_and_the_others_are_reported(endpoint: EventsEndpoint) -> None:
    late = cloud("order.repromised", "r", at(), {"order_id": "SO-2", "promised_at": "soon, soon"})
    large = completed("SO-3", lines=[{"sku": f"{n:080}", "ordered": 1} for n in range(200)])
    answer = endpoint.batch(completed("SO-1"), late, b"17", large, completed("SO-1"), completed("SO-4"))
    assert answer.status_code == 207
    body = answer.json()
    assert (body["new"], body["duplicates"]) == (2, 1)
    assert [(refused["index"], refused["field"]) for refused in body["refused"]] == [
        (1, "data.promised_at"),
        (2, ""),
        (3, ""),
    ]
    assert all(refused["reason"] for refused in body["refused"])
    assert {row["order_id"] for row in rows(endpoint.runtime, orders)} == {"SO-1", "SO-4"}
    assert rows(endpoint.runtime, dead_letters) == [], "the response reports them to the sender"


def test_a_batch_without_any_valid_event_is_refused_event_by_event(endpoint: EventsEndpoint) -> None:
    body = problem(endpoint.batch(asked("SO-1", at()), b"{}"), 422)
    assert [(refused["index"], refused["field"]) for refused in body["refused"]] == [(0, "type"), (1, "specversion")]


def test_our_own_event_types_and_source_are_refused(endpoint: EventsEndpoint) -> None:
    for raw in (answered(arrival="on_time"), asked("SO-1", at())):
        assert problem(endpoint.post(raw), 422)["field"] == "type"
    problem(endpoint.post(cloud("alert.opened", "a", at(), {})), 422)
    named = cloud("order.completed", "SO-1:delivery:ana", at(), json.loads(completed())["data"], source="unvarnished")
    assert problem(endpoint.post(named), 422)["field"] == "source"


def test_historic_events_need_a_key_with_that_permission(endpoint: EventsEndpoint) -> None:
    old, key = completed(time=at(days=-300), _={"historic": True}), endpoint.make_key("import", history=True)
    assert problem(endpoint.post(old), 422)["field"] == "historic"
    assert endpoint.post(old, key=key).status_code == 202
    assert endpoint.post(scanned(time=at(days=-299))).status_code == 202
    assert rows(endpoint.runtime, asks) == []


def test_binary_mode_is_the_same_event(endpoint: EventsEndpoint) -> None:
    envelope = json.loads(completed("SO-Ä"))
    data = json.dumps(envelope.pop("data"))
    headers = {f"ce-{name}": value for name, value in envelope.items()}
    headers["ce-id"] = "SO-%C3%84:completed"
    assert endpoint.post(data, JSON, **headers).json() == {"new": 1, "duplicates": 0}
    assert endpoint.post(completed("SO-Ä")).json() == {"new": 0, "duplicates": 1}
    assert problem(endpoint.post(data, JSON, **headers | {"ce-time": "yesterday"}), 422)["field"] == "time"
    assert problem(endpoint.post(data, JSON, **headers | {"ce-historic": "true"}), 422)["field"] == "historic"
    assert problem(endpoint.post('{} , "id": "2"', JSON, **headers), 422)["field"] == "data"


def test_malformed_requests_are_refused(endpoint: EventsEndpoint) -> None:
    for body, media, status in (
        (completed(), "text/plain", 415),
        (completed(), "", 415),
        (b"[" + completed(), BATCH, 422),
        (completed(), BATCH, 422),
        (b"[]", BATCH, 422),
        (b"[" * 100_000, BATCH, 413),
        (b"[" * 40_000, BATCH, 422),
        (b"[" + b",".join([b"1"] * 21) + b"]", BATCH, 413),
        (b" " * 60_000, EVENT, 413),
        (b" " * 30_000, EVENT, 413),
        (b"", EVENT, 422),
    ):
        problem(endpoint.post(body, media), status)


def test_unknown_paths_and_methods_are_problems_too(endpoint: EventsEndpoint) -> None:
    problem(endpoint.client.get("/nothing/here"), 404)
    problem(endpoint.client.delete("/v1/events"), 405)


def test_unknown_revoked_and_missing_keys_look_the_same(endpoint: EventsEndpoint) -> None:
    revoked = endpoint.make_key("old")
    assert endpoint.post(completed(), key=revoked).status_code == 202
    with endpoint.runtime.engine.begin() as connection:
        api_keys.revoke(connection, "old", at())
    fresh = TestClient(public_app(endpoint.services))  # another process, without the cached key
    with fresh:
        for header in ({}, {"authorization": f"Bearer {revoked}"}, {"authorization": f"Basic {endpoint.key}"}):
            answer = fresh.post("/v1/events", content=b"{}", headers=header)
            assert problem(answer, 401)["detail"] == "a valid API key is required: Authorization: Bearer KEY"
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert (
            fresh.post("/v1/events", content=b"{}", headers={"authorization": f"bearer {endpoint.key}"}).status_code
            == 415
        )


def test_a_key_is_stored_as_a_digest_and_its_name_cannot_be_reused(endpoint: EventsEndpoint) -> None:
    with reading(endpoint.runtime.engine) as connection:
        (kept,) = api_keys.all_keys(connection)
    assert endpoint.key not in repr(kept)
    assert kept.digest == api_keys.digest_of(endpoint.key)
    with pytest.raises(ValueError, match="choose another name"):
        endpoint.make_key("erp")
    with pytest.raises(ValueError, match="no valid key is named"), endpoint.runtime.engine.begin() as connection:
        api_keys.revoke(connection, "nobody", at())


def test_too_many_invalid_keys_are_limited_and_do_not_lock_out_a_valid_one(endpoint: EventsEndpoint) -> None:
    services = services_of(endpoint.runtime, endpoint.services.submit, max_wrong_keys_per_minute=3)
    with TestClient(public_app(services)) as client:
        statuses = [client.post("/v1/events", headers={"authorization": "Bearer x"}).status_code for _ in range(4)]
        assert statuses == [401, 401, 401, 429]
        answer = client.post("/v1/events", headers={"authorization": "Bearer x"})
        assert problem(answer, 429)
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        good = {"authorization": f"Bearer {endpoint.key}", "content-type": EVENT}
        assert client.post("/v1/events", content=completed(), headers=good).status_code == 202


@pytest.mark.parametrize(
    "error", [Busy("7 events wait"), OperationalError("", {}, Exception("gone")), NoConnection("none free")]
)
def test_while_events_cannot_be_stored_the_sender_is_asked_to_retry(endpoint: EventsEndpoint, error: Exception) -> None:
    async def _submit(_: Sequence[Incoming]) -> IngestResult:
        raise error

    with TestClient(public_app(replace(endpoint.services, submit=_submit))) as client:
        good = {"authorization": f"Bearer {endpoint.key}", "content-type": EVENT}
        answer = client.post("/v1/events", content=completed(), headers=good)
        problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1


def test_a_request_waits_for_a_limited_time(endpoint: EventsEndpoint) -> None:
    async def _submit(_: Sequence[Incoming]) -> IngestResult:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    with TestClient(public_app(services_of(endpoint.runtime, _submit, response_timeout_seconds=0.05))) as client:
        good = {"authorization": f"Bearer {endpoint.key}", "content-type": EVENT}
        assert "not durable yet" in problem(client.post("/v1/events", content=completed(), headers=good), 503)["detail"]


def test_a_bug_is_an_internal_error_without_its_message(
    endpoint: EventsEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    def _now() -> datetime:
        raise RuntimeError(f"+44{7700900123}")

    with TestClient(public_app(replace(endpoint.services, now=_now))) as client:
        good = {"authorization": f"Bearer {endpoint.key}", "content-type": EVENT}
        body = problem(client.post("/v1/events", content=completed(), headers=good), 500)
    assert "internal error" in body["detail"]
    assert "RuntimeError" in caplog.text
    assert "447700900123" not in caplog.text + repr(body)


def test_openapi_describes_the_accepted_events(endpoint: EventsEndpoint) -> None:
    description = endpoint.client.get("/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    operation = description["paths"]["/v1/events"]["post"]
    assert set(operation["requestBody"]["content"]) == {JSON, EVENT, BATCH}
    assert {"202", "207", "422", "503"} <= set(operation["responses"])
    assert operation["security"] == [{"key": []}]
