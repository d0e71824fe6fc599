"""`POST /v1/events`: what is accepted, what is refused and why, and who may send."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import pytest
from litestar.testing import TestClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.write_queue import Busy
from pipeline.store.db.engine import reading
from pipeline.store.people import api_keys
from pipeline.store.schema.asks import asks
from pipeline.store.schema.journal import dead_letters, journal
from pipeline.store.schema.orders import orders
from pipeline.web.http.server import public_app
from tests.support.builders import answered, asked, at, cloud, completed, contact, repromised, scanned
from tests.support.inputs.malformed import MALFORMED
from tests.support.requests.ingesting import (
    BATCH,
    EVENT,
    HEADERS,
    JSON,
    LIMITS,
    EventsEndpoint,
    open_endpoint,
    problem,
    services_of,
)
from tests.support.stored import rows


@pytest.fixture
def endpoint(runtime: EmbeddedRunner) -> Iterator[EventsEndpoint]:
    with open_endpoint(runtime) as opened:
        yield opened


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


def test_an_event_that_claims_to_be_later_than_now_is_refused_by_its_time(endpoint: EventsEndpoint) -> None:
    """The clock of the endpoint shows 13:00: a time zone mistake, and a clock that is a century ahead."""
    for ahead in (at(hours=4.2), at(hours=6), at(days=40_000)):
        for raw in (completed(time=ahead), repromised("SO-1", ahead, at(days=9)), scanned(time=ahead, at=at())):
            refusal = problem(endpoint.post(raw), 422)
            assert refusal["field"] == "time"
            assert "ahead of the time of receipt, 2026-03-02T13:00:00Z" in refusal["detail"]
    assert rows(endpoint.runtime, journal) == []
    assert endpoint.post(completed(time=at(hours=4 + 1 / 6))).status_code == 202, "ten minutes are allowed"


def test_a_delivery_dated_ahead_is_accepted_and_asked_about_now(endpoint: EventsEndpoint) -> None:
    endpoint.post(completed())
    assert endpoint.post(scanned(time=at(hours=4), at=at(days=40_000))).status_code == 202
    assert [ask["decided_at"] for ask in rows(endpoint.runtime, asks)] == [at(hours=4)]


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
    events = (completed("SO-1"), late, b"17", large, completed("SO-1"), completed("SO-4"))
    body = problem(endpoint.batch(*events), 422)
    assert (body["new"], body["duplicates"]) == (2, 1)
    assert body["detail"].startswith("3 of 6 events were refused")
    assert [(refused["index"], refused["field"]) for refused in body["refused"]] == [
        (1, "data.promised_at"),
        (2, ""),
        (3, ""),
    ]
    assert all(refused["reason"] for refused in body["refused"])
    assert {row["order_id"] for row in rows(endpoint.runtime, orders)} == {"SO-1", "SO-4"}
    assert rows(endpoint.runtime, dead_letters) == [], "the response reports them to the sender"
    again = problem(endpoint.batch(*events), 422)
    assert (again["new"], again["duplicates"], again["refused"]) == (0, 3, body["refused"]), "repeatable"


def test_a_sender_that_reads_the_answer_may_have_a_batch_partly_accepted(endpoint: EventsEndpoint) -> None:
    late = repromised("SO-2", at(), "soon, soon")
    for preference in ("handling=lenient", 'respond-async, handling = "lenient"; wait=1'):
        answer = endpoint.batch(completed("SO-1"), late, prefer=preference)
        assert answer.status_code == 207
        assert answer.headers["preference-applied"] == "handling=lenient"
        assert [refused["index"] for refused in answer.json()["refused"]] == [1]
    assert endpoint.batch(completed("SO-1"), completed("SO-3"), prefer="handling=lenient").status_code == 202
    problem(endpoint.batch(late, prefer="handling=lenient"), 422)


def test_an_id_used_again_for_something_else_is_refused(endpoint: EventsEndpoint) -> None:
    endpoint.post(completed(event_id="7"))
    refused = problem(endpoint.post(scanned(event_id="7")), 422)
    assert refused["field"] == "id"
    assert "this id was used for another event" in refused["detail"]
    body = problem(endpoint.batch(completed("SO-2"), b"17", scanned(event_id="7"), completed(event_id="7")), 422)
    assert [(one["index"], one["field"]) for one in body["refused"]] == [(1, ""), (2, "id")]
    assert (body["new"], body["duplicates"]) == (1, 1)
    assert rows(endpoint.runtime, dead_letters) == [], "the response reports them to the sender"
    assert len([row for row in rows(endpoint.runtime, journal) if row["source"] == "erp"]) == 2


def test_what_is_written_differently_is_the_same_event(endpoint: EventsEndpoint) -> None:
    parsed = json.loads(completed(lines=[{"sku": "a", "ordered": 10.0}], note="Zoë \\ 1"))
    for text in (
        json.dumps(parsed),
        json.dumps(dict(reversed(parsed.items())), indent=2, ensure_ascii=False),
        json.dumps(parsed, sort_keys=True).replace("10.0", "1e1"),
        json.dumps(parsed | {"traceparent": "00-1", "time": "2026-03-02T10:00:00.000+01:00"}).replace("10.0", "10"),
    ):
        assert endpoint.post(text).status_code == 202
    assert len([row for row in rows(endpoint.runtime, journal) if row["source"] == "erp"]) == 1
    for changed in ({"subject": "SO-1"}, {"time": "2026-03-02T09:00:01Z"}, {"type": "order.cancelled"}):
        assert problem(endpoint.post(json.dumps(parsed | changed)), 422)["field"] == "id"


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


def test_a_request_without_a_key_is_no_attempt_at_one(endpoint: EventsEndpoint) -> None:
    services = services_of(endpoint.runtime, endpoint.services.submit, max_wrong_keys_per_minute=1)
    with TestClient(public_app(services)) as client:
        assert {client.post("/v1/events").status_code for _ in range(4)} == {401}
        assert client.post("/v1/events", headers={"x-api-key": "x"}).status_code == 401
        assert client.post("/v1/events", headers={"x-api-key": "x"}).status_code == 429
        assert client.post("/v1/events").status_code == 401


def test_options_names_every_method_of_a_path(endpoint: EventsEndpoint) -> None:
    for path, methods in (("/f/x", "GET, OPTIONS, POST"), ("/v1/events", "OPTIONS, POST")):
        assert endpoint.client.options(path).headers["allow"] == methods


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


def test_what_is_accepted_and_will_not_work_is_a_warning_with_its_field(endpoint: EventsEndpoint) -> None:
    unusable = [contact(phone="07700 900123"), contact("bob", phone="+447700900123", email="none")]
    answer = endpoint.batch(completed("SO-1"), completed("SO-2", contacts=unusable))
    assert answer.status_code == 202
    warnings = answer.json()["warnings"]
    assert [(warning["index"], warning["field"]) for warning in warnings] == [
        (1, "data.contacts[0].phone"),
        (1, "data.contacts[1].email"),
    ]
    assert all(warning["reason"] for warning in warnings)
    assert "900123" not in answer.text, "no number is repeated"


def test_a_country_makes_a_number_usable_and_what_is_no_country_is_a_warning(endpoint: EventsEndpoint) -> None:
    national = [contact(phone="07700 900123")]
    answer = endpoint.post(completed("SO-1", account={"id": "A-1", "country": "gb"}, contacts=national))
    assert (answer.status_code, answer.json()) == (202, {"new": 1, "duplicates": 0})
    answer = endpoint.post(completed("SO-2", account={"id": "A-1", "country": "Britain"}, contacts=national))
    fields = [warning["field"] for warning in answer.json()["warnings"]]
    assert (answer.status_code, fields) == (202, ["data.account.country", "data.contacts[0].phone"])


def test_warnings_are_part_of_a_partial_refusal(endpoint: EventsEndpoint) -> None:
    batch = completed("SO-1", contacts=[contact(phone="n/a")]), completed("SO-2", promised_at="soon, promise")
    answer = endpoint.batch(*batch)
    assert answer.status_code == 422
    assert [warning["field"] for warning in answer.json()["warnings"]] == ["data.contacts[0].phone"]
