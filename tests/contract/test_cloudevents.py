"""The shapes of the public CloudEvents fixtures (conformance suite of the specification, Java SDK), with our types and
data: what is taken and what is refused is the table in docs/http.md.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.domain.events.contract import BadEvent
from pipeline.domain.events.received import read
from tests.support.builders import at, scanned
from tests.support.paths import ROOT
from tests.support.requests.ingesting import BATCH, EVENT, JSON, EventsEndpoint, open_endpoint
from tests.support.running.embedded import embedded

DATA = json.loads(scanned())["data"]
MINIMAL = {"specversion": "1.0", "id": "minimal", "type": "delivery.updated", "source": "https://cloudevents.io"}
ENCODED = b64encode(json.dumps(DATA).encode()).decode()
_ABSENT = "absent"

# By name in the table: the attributes that differ from `MINIMAL` with `DATA`, and the field that is refused, if any.
SHAPES: dict[str, list[tuple[dict[str, Any], str | None]]] = {
    "required attributes only; `time` absent": [({}, None)],
    "optional attributes `null`": [
        ({"datacontenttype": None, "dataschema": None, "subject": None, "time": None}, None)
    ],
    "all core attributes": [
        (
            {
                "datacontenttype": "application/json",
                "dataschema": "https://cloudevents.io/dataschema",
                "subject": "tests",
                "time": "2018-04-05T17:31:00Z",
            },
            None,
        )
    ],
    "`time` with nanoseconds or any offset": [
        ({"time": "2018-04-05T17:31:00.000000000Z"}, None),
        ({"time": "2018-04-05T18:31:00+01:00"}, None),
        ({"time": "2018-04-05T16:31:00-01:00"}, None),
        ({"time": "2018-04-26T14:48:09.1234Z"}, None),
    ],
    "relative `source`": [({"source": "#fragment"}, None), ({"source": "/mycontext/subcontext"}, None)],
    "extension attributes of any type": [
        (
            {
                "extinteger": 10,
                "extboolean": True,
                "extstring": "text",
                "exturi": "https://cloudevents.io",
                "exturiref": "//authority/path",
                "exttimestamp": "2023-03-31T15:12:00Z",
                "extbinary": "TWE=",
            },
            None,
        ),
        ({"astring": "aaa", "aboolean": True, "anumber": 10}, None),
    ],
    "extension attributes with names or values that the specification forbids": [
        ({"MyExtension": "bad"}, None),
        ({"my.extension": "bad"}, None),
        ({"a_invalid_name": "invalidName"}, None),
        ({"my.extension": 1.5}, None),
        ({"anumber": 2**40}, None),
    ],
    "`datacontenttype`, `dataschema` or `subject` empty or malformed": [
        ({"datacontenttype": "xyz"}, None),
        ({"datacontenttype": ""}, None),
        ({"dataschema": ""}, None),
        ({"subject": ""}, None),
    ],
    "`data_base64` that holds a JSON object": [
        ({"data": _ABSENT, "data_base64": ENCODED}, None),
        ({"data": _ABSENT, "data_base64": ENCODED, "datacontenttype": "application/json"}, None),
    ],
    "`data` as a string that holds a JSON object": [
        ({"data": json.dumps(DATA)}, None),
        ({"data": json.dumps(DATA), "datacontenttype": "application/json"}, None),
    ],
    "no `data`": [({"data": _ABSENT}, "data"), ({"data": None}, "data")],
    "data that is no JSON object (text, XML, binary)": [
        ({"data": "Simple text", "datacontenttype": "text/plain"}, "data"),
        ({"data": '<much wow="xml"/>', "datacontenttype": "application/xml"}, "data"),
        ({"data": _ABSENT, "data_base64": "PG11Y2ggd293PSJ4bWwiLz4=", "datacontenttype": "text/xml"}, "data_base64"),
        ({"data": _ABSENT, "data_base64": "not base64"}, "data_base64"),
        ({"data": _ABSENT, "data_base64": "e30="}, "data.status"),
        ({"data": []}, "data"),
    ],
    "`data` and `data_base64`": [({"data": "text", "data_base64": "eyAieHl6IjogMTIzIH0="}, "data_base64")],
    "a required attribute missing, empty or no string": [
        ({"specversion": _ABSENT}, "specversion"),
        ({"id": _ABSENT}, "id"),
        ({"type": _ABSENT}, "type"),
        ({"source": _ABSENT}, "source"),
        ({"id": ""}, "id"),
        ({"type": ""}, "type"),
        ({"source": ""}, "source"),
        ({"id": 25}, "id"),
        ({"id": {"xyz": "abc"}}, "id"),
        ({"id": None}, "id"),
    ],
    "another `specversion` than 1.0": [
        ({"specversion": ""}, "specversion"),
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": "0.9"}, "specversion"),
    ],
    "`time` that is no RFC 3339 time with offset": [
        ({"time": text}, "time")
        for text in (
            "lunchtime",
            "2018-04-05T18:31Z",
            "2018-04-05T18:31:00X",
            "2018-04-05T18:31:00+25:00",
            "2018-04-05T18:31:00+xx:00",
            "2018-04-05T18:31:00+05",
        )
    ],
    "a type that is not one of ours": [({"type": "io.cloudevents.test"}, "type")],
}
CASES = [(name, number) for name, shapes in SHAPES.items() for number in range(len(shapes))]


def event(changed: dict[str, Any]) -> bytes:
    whole = MINIMAL | {"data": DATA} | changed
    return json.dumps({name: value for name, value in whole.items() if value is not _ABSENT}).encode()


@pytest.fixture
def endpoint(sqlite_database_url: str) -> Iterator[EventsEndpoint]:
    runtime = embedded(sqlite_database_url)
    with open_endpoint(runtime) as opened:
        yield opened
    runtime.engine.dispose()


@pytest.mark.parametrize(("name", "number"), CASES, ids=range(len(CASES)))
def test_a_shape_is_taken_or_refused_by_field(name: str, number: int) -> None:
    changed, field = SHAPES[name][number]
    if field is None:
        assert read(event(changed), None, at()).event.data.order_id == DATA["order_id"]
    else:
        with pytest.raises(BadEvent) as refused:
            read(event(changed), None, at())
        assert refused.value.field == field


def test_the_listener_takes_and_refuses_the_same(endpoint: EventsEndpoint) -> None:
    for name, shapes in SHAPES.items():
        for number, (changed, field) in enumerate(shapes):
            unique = {} if field is not None else {"id": f"{name}:{number}"}
            answer = endpoint.post(event(changed | unique))
            assert (answer.status_code, answer.json().get("field")) == ((202, None) if field is None else (422, field))


def test_batches(endpoint: EventsEndpoint) -> None:
    def sent(*events: bytes) -> tuple[int, dict[str, Any]]:
        answer = endpoint.batch(*events)
        return answer.status_code, answer.json()

    assert sent() == (202, {"new": 0, "duplicates": 0})
    assert sent(event({}))[1]["new"] == 1
    assert sent(event({"id": "b"}), event({"id": "b"}))[1] == {"new": 1, "duplicates": 1}
    for wrong in (event({"specversion": "0.9"}), event({"id": _ABSENT}), b'"not an object"'):
        status, body = sent(event({}), wrong)
        assert (status, body["new"], body["duplicates"], body["refused"][0]["index"]) == (422, 0, 1, 1)


def test_content_modes(endpoint: EventsEndpoint) -> None:
    binary = {f"ce-{name}": value for name, value in MINIMAL.items()} | {"ce-time": "2018-04-05T03:56:24Z"}
    for media in (JSON, f"{JSON}; charset=utf-8"):
        assert endpoint.post(json.dumps(DATA, indent=4), media, **binary | {"ce-id": media}).status_code == 202
    for media in (EVENT, f"{EVENT}; charset=utf-8"):
        assert endpoint.post(event({"id": media}), media).status_code == 202
    for media in ("application/cloudevents+avro", "application/cloudevents+xml", "text/plain"):
        assert endpoint.post(event({"id": media}), media).status_code == 415
    assert endpoint.post(event({}), BATCH).status_code == 422


def test_the_documentation_has_this_table() -> None:
    text = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    listed = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[1] in ("taken", "refused"):
            listed[cells[0]] = cells[1]
    assert {name: "taken" if shapes[0][1] is None else "refused" for name, shapes in SHAPES.items()} == listed
