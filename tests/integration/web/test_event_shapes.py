"""CloudEvents as other systems send them to `POST /v1/events`: one event, whatever its mode, encoding and spelling."""

import gzip
import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from litestar.datastructures import Headers
from litestar.testing import TestClient

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.store.schema.journal import journal
from pipeline.web.http.problems import Problem
from pipeline.web.http.server import public_app
from pipeline.web.public.events.body import BodyLimits, read_body
from tests.support.builders import at, completed, scanned
from tests.support.inputs.deep import LEVELS, nested
from tests.support.requests.ingesting import BATCH, EVENT, JSON, EventsEndpoint, open_endpoint, problem
from tests.support.stored import rows

BOM = b"\xef\xbb\xbf"
PARSED = json.loads(completed())
DATA = json.dumps(PARSED["data"])
CE = {f"ce-{name}": value for name, value in PARSED.items() if name != "data"}


@pytest.fixture
def endpoint(runtime: EmbeddedRunner) -> Iterator[EventsEndpoint]:
    with open_endpoint(runtime) as opened:
        yield opened


def received(endpoint: EventsEndpoint) -> list[dict[str, Any]]:
    return [row for row in rows(endpoint.runtime, journal) if not row["outgoing"]]


def binary(endpoint: EventsEndpoint, media: str | None = JSON, data: str | bytes = DATA, **changed: bytes | str) -> Any:
    """One event in binary mode, straight as bytes of headers."""
    headers = CE | {name.replace("_", "-"): value for name, value in changed.items()}
    given = [(b"authorization", f"Bearer {endpoint.key}".encode())]
    given += [(k.encode(), v if isinstance(v, bytes) else v.encode()) for k, v in headers.items()]
    if media is not None:
        given.append((b"content-type", media.encode()))
    return endpoint.client.post("/v1/events", content=data, headers=given)


def test_every_shape_of_one_event_is_the_same_event(endpoint: EventsEndpoint) -> None:
    assert endpoint.post(completed()).status_code == 202
    envelope = {name: value for name, value in PARSED.items() if name != "data"}
    text, encoded = json.dumps(envelope | {"data": DATA}), b64encode(DATA.encode()).decode()
    nulls = PARSED | {"subject": None, "dataschema": None, "historic": None}
    for body, media in (
        (BOM + completed(), EVENT),
        (BOM + b"[" + completed() + b"]", BATCH),
        (text, EVENT),
        (json.dumps(envelope | {"data": DATA, "datacontenttype": "application/json; charset=utf-8"}), EVENT),
        (json.dumps(envelope | {"data_base64": encoded}), EVENT),
        (json.dumps(envelope | {"data_base64": encoded, "datacontenttype": "application/octet-stream"}), EVENT),
        (json.dumps(nulls), EVENT),
        (completed(), EVENT + '; charset="UTF-8"'),
    ):
        answer = endpoint.post(body, media)
        assert (answer.status_code, answer.json()) == (202, {"new": 0, "duplicates": 1}), body
    for any_media in (JSON, "application/vnd.acme.order+json; v=2", "text/json", None, f"{JSON}; charset=utf-8"):
        assert binary(endpoint, any_media).json() == {"new": 0, "duplicates": 1}, any_media
    assert binary(endpoint, data=BOM + DATA.encode()).json() == {"new": 0, "duplicates": 1}
    assert len(received(endpoint)) == 1


def test_quoted_and_encoded_header_values_are_undone(endpoint: EventsEndpoint) -> None:
    assert binary(endpoint, ce_id="q 1é").json()["new"] == 1
    for spelled in ('"q 1é"', "q%201%C3%A9", '"q%201%c3%a9"', b"q 1\xc3\xa9", '  "q 1\\é"'):
        assert binary(endpoint, ce_id=spelled).json() == {"new": 0, "duplicates": 1}, spelled
    assert binary(endpoint, ce_id="100%").json()["new"] == 1, "a percent sign that encodes nothing"
    assert binary(endpoint, ce_id='"q \\"1\\" \\\\"').json()["new"] == 1
    assert {row["id"] for row in received(endpoint)} == {"q 1é", "100%", 'q "1" \\'}
    assert binary(endpoint, ce_type='"order.completed"', ce_id="typed").status_code == 202


@pytest.mark.parametrize("spelled", ["a%FFb", "a%FEb", '"a%C3"', "%ED%A0%80", '"a', '"a"b', "a%00b", "%20"])
@pytest.mark.parametrize("attribute", ["id", "source"])
def test_header_values_that_are_no_text_are_refused_by_attribute(
    endpoint: EventsEndpoint, attribute: str, spelled: str
) -> None:
    changed: dict[str, Any] = {f"ce_{attribute}": spelled}
    assert problem(binary(endpoint, **changed), 422)["field"] == attribute
    assert received(endpoint) == []


@pytest.mark.parametrize("values", [(b"a\xe9b",), (b"a", b"b"), (b"a", b"a"), (b'"a',)])
def test_an_attribute_without_one_value_is_refused(values: tuple[bytes, ...]) -> None:
    """As a server passes headers on: the test client would join and encode them."""
    headers = [(b"ce-specversion", b"1.0"), *((b"ce-id", value) for value in values)]
    with pytest.raises(Problem) as refused:
        read_body(b"{}", Headers(headers), BodyLimits(1_000, 1))
    assert (refused.value.status_code, refused.value.extra) == (422, {"field": "id"})


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"data": "text"}, "data"),
        ({"data": "[" * 1_000}, "data"),
        ({"data": '"\\ud800"'}, "data"),
        ({"data_base64": "e30="}, "data_base64"),
        ({"data": None, "data_base64": "e30"}, "data_base64"),
        ({"data": None, "data_base64": 17}, "data_base64"),
        ({"data": None, "data_base64": b64encode(b"\xff").decode()}, "data_base64"),
        ({"data": None, "data_base64": b64encode(b"[" * 1_000).decode()}, "data_base64"),
        ({"data": None, "data_base64": b64encode(b"{}").decode()}, "data.order_id"),
        ({"data": None}, "data"),
        ({"data": "null"}, "data"),
        ({"time": "2026-03-02T09:00:00"}, "time"),
    ],
)
def test_data_that_cannot_be_read_is_refused_by_field(
    endpoint: EventsEndpoint, changed: dict[str, Any], field: str
) -> None:
    assert problem(endpoint.post(json.dumps(PARSED | changed)), 422)["field"] == field


def test_null_stands_for_what_is_absent(endpoint: EventsEndpoint) -> None:
    nulls: dict[str, Any] = dict.fromkeys(("contacts", "dimensions", "lines", "shipments", "requested_at"))
    assert endpoint.post(completed(**nulls)).status_code == 202
    sparse: dict[str, Any] = {
        "dimensions": {"depot": "Lyon", "region": None},
        "lines": [{"sku": "a", "ordered": 1, "delivered": None}],
    }
    assert endpoint.post(completed("SO-2", **sparse)).status_code == 202
    assert problem(endpoint.post(completed("SO-3").replace(b'"SO-3"', b"null")), 422)["field"] == "data.order_id"
    assert problem(endpoint.post(completed("SO-4", lines=None, promised_at="soon, soon")), 422)["field"] == (
        "data.promised_at"
    )
    assert problem(endpoint.post(completed("SO-5", lines=[None])), 422)["field"] == "data.lines[0]"


def test_an_event_without_a_time_is_received_now_and_marked(endpoint: EventsEndpoint) -> None:
    parsed = {name: value for name, value in json.loads(scanned()).items() if name != "time"}
    assert endpoint.post(json.dumps(parsed)).json()["new"] == 1
    assert endpoint.post(json.dumps(parsed | {"time": None})).json()["duplicates"] == 1
    (row,) = received(endpoint)
    payload = json.loads(row["payload"])
    assert (payload["time"], payload["timeassumed"]) == (at(hours=4).isoformat().replace("+00:00", "Z"), True)
    assert endpoint.post(json.dumps(json.loads(scanned(event_id="timed")) | {"timeassumed": True})).status_code == 202
    assert "timeassumed" not in json.loads(received(endpoint)[-1]["payload"]), "the mark is ours"


def test_compressed_bodies_are_read(endpoint: EventsEndpoint) -> None:
    assert endpoint.post(gzip.compress(completed()), **{"content-encoding": "gzip"}).json()["new"] == 1
    two = gzip.compress(b"[" + completed()) + gzip.compress(b"]")
    assert endpoint.post(two, BATCH, **{"content-encoding": "X-GZIP"}).json()["duplicates"] == 1
    assert endpoint.post(completed(), **{"content-encoding": "identity"}).json()["duplicates"] == 1
    for body, encoding, status in (
        (completed(), "gzip", 422),
        (gzip.compress(completed())[:-9], "gzip", 422),
        (b"", "gzip", 422),
        (gzip.compress(b"") * 200, "gzip", 422),
        (gzip.compress(b" " * 60_000), "gzip", 413),
        (gzip.compress(b" " * 30_000), "gzip", 413),
        (completed(), "br", 415),
        (completed(), "gzip, gzip", 415),
    ):
        problem(endpoint.post(body, **{"content-encoding": encoding}), status)


def test_an_empty_batch_is_accepted(endpoint: EventsEndpoint) -> None:
    for body in (b"[]", b" [ ] ", BOM + b"[]"):
        assert endpoint.post(body, BATCH).json() == {"new": 0, "duplicates": 0}


def test_an_answer_has_no_body_where_that_is_asked_for(endpoint: EventsEndpoint, runtime: EmbeddedRunner) -> None:
    answer = endpoint.post(completed(), prefer="return=minimal")
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["preference-applied"] == "return=minimal"
    problem(endpoint.post(b"{}", prefer="return=minimal"), 422)
    services = replace(
        endpoint.services, settings=endpoint.services.settings.model_copy(update={"empty_event_responses": True})
    )
    with TestClient(public_app(services)) as client:
        headers = {"authorization": f"Bearer {endpoint.key}", "content-type": EVENT}
        answer = client.post("/v1/events", content=completed(), headers=headers)
        assert (answer.status_code, answer.content) == (202, b"")


def test_types_of_other_systems_are_translated(endpoint: EventsEndpoint) -> None:
    store = replace(endpoint.services.store, event_types={"com.acme.order.fulfilled": "order.completed"})
    with TestClient(public_app(replace(endpoint.services, store=store))) as client:
        headers = {"authorization": f"Bearer {endpoint.key}", "content-type": EVENT}
        foreign = json.dumps(PARSED | {"type": "com.acme.order.fulfilled"})
        assert client.post("/v1/events", content=foreign, headers=headers).json() == {"new": 1, "duplicates": 0}
        assert client.post("/v1/events", content=completed(), headers=headers).json() == {"new": 0, "duplicates": 1}
    (row,) = received(endpoint)
    assert row["type"] == "order.completed"
    assert json.loads(row["payload"])["foreigntype"] == "com.acme.order.fulfilled"
    assert problem(endpoint.post(foreign), 422)["field"] == "type"


@pytest.mark.parametrize("levels", LEVELS)
def test_depth_is_limited_before_anything_is_parsed(endpoint: EventsEndpoint, levels: int) -> None:
    if levels > 10_000:  # larger than these tests allow an event to be
        problem(endpoint.post(nested(completed(), levels)), 413)
        return
    deep = nested(completed(), levels)
    assert "nested too deep" in problem(endpoint.post(deep), 422)["detail"]
    assert "nested too deep" in problem(endpoint.post(deep, JSON), 422)["detail"]
    assert "nested too deep" in problem(binary(endpoint, data=b"[" * levels + b"]" * levels), 422)["detail"]
    body = problem(endpoint.batch(completed(), deep, scanned()), 422)
    assert [(one["index"], one["reason"]) for one in body["refused"]] == [(1, "nested too deep: more than 100 levels")]
    assert body["new"] == 2
    assert endpoint.post(b"[" * levels + b"]" * levels, BATCH).status_code == 422


def test_a_key_may_come_in_any_of_the_usual_ways(endpoint: EventsEndpoint) -> None:
    def status(path: str = "/v1/events", **headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = client.post(path, content=completed(), headers={"content-type": EVENT} | given)
        return int(answer.status_code)

    def basic(text: str) -> str:
        return "Basic " + b64encode(text.encode()).decode()

    with TestClient(public_app(endpoint.services)) as client:
        assert status(authorization=f"Bearer {endpoint.key}") == 202
        assert status(authorization=basic(f"erp:{endpoint.key}")) == 202
        assert status(authorization=basic(f"{endpoint.key}:")) == 202
        assert status(authorization=basic(endpoint.key)) == 202
        assert status(x_api_key=endpoint.key) == 202
        assert status(authorization="Bearer of-a-proxy", x_api_key=endpoint.key) == 202
        for wrong in (basic("erp:wrong"), basic(f"erp:{endpoint.key}:"), f"Basic {endpoint.key}", "Basic"):
            assert status(authorization=wrong) == 401, wrong
        assert status(f"/v1/events?access_token={endpoint.key}") == 401, "off by default"
    opened = endpoint.services.settings.model_copy(update={"accept_key_in_query": True})
    with TestClient(public_app(replace(endpoint.services, settings=opened))) as client:
        assert status(f"/v1/events?access_token={endpoint.key}") == 202
        assert status("/v1/events?access_token=wrong%ff") == 401


def test_webhooks_are_validated(endpoint: EventsEndpoint) -> None:
    plain = endpoint.client.options("/v1/events")
    assert (plain.status_code, plain.headers["allow"]) == (200, "OPTIONS, POST")
    assert "webhook-allowed-origin" not in plain.headers
    asked = {"webhook-request-origin": "eventgrid.azure.net", "webhook-request-rate": "120"}
    answer = endpoint.client.options("/v1/events?access_token=x", headers=asked)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["webhook-allowed-origin"] == "eventgrid.azure.net"
    assert answer.headers["webhook-allowed-rate"] == "*"
    limited = endpoint.services.settings.model_copy(update={"webhook_origins": frozenset({"events.example.com"})})
    with TestClient(public_app(replace(endpoint.services, settings=limited))) as client:
        problem(client.options("/v1/events", headers=asked), 403)
        asked["webhook-request-origin"] = "events.example.com"
        assert client.options("/v1/events", headers=asked).status_code == 200
