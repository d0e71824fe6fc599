"""The read API returns what the command line and the pages show, and names invalid parameters."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from typer.testing import CliRunner

from pipeline.cli import app as command
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.web.internal.api import orders, read
from tests.support.builders import answered, at, completed, repromised, scanned
from tests.support.requests.installation import Clock, client, services
from tests.support.running.embedded import ingest
from tests.support.statistics.alert_rows import raise_alert


@pytest.fixture
def api(runtime: EmbeddedRunner) -> Iterator[TestClient[Litestar]]:
    known = services(runtime, Clock(at()))
    with client(*read.routes(known), *orders.routes(known)) as made:
        yield made


@pytest.fixture
def filled(runtime: EmbeddedRunner) -> EmbeddedRunner:
    for number, arrival in enumerate(["late", "on_time", "late"]):
        order_id = f"SO-{number}"
        ingest(
            runtime,
            completed(order_id, at(days=number * 8)),
            scanned(order_id, at(days=number * 8, hours=1)),
            answered(
                order_id,
                at(days=number * 8, hours=2),
                arrival=arrival,
                score={"value": 3 * number},
                comment="So it was",
            ),
        )
    with runtime.engine.begin() as connection:
        raise_alert(connection, "on_time/depot/Lyon/1", proof={"since": "2026-03-01"})
    return runtime


def printed(database_url: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setenv("UNVARNISHED_DATABASE_URL", database_url)
    done = CliRunner().invoke(command, [*arguments, "--format", "json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ([], ""),
        (["--by", "depot"], "by=depot"),
        (["--by", "carrier", "--from", "2026-03-03", "--to", "2026-03-12"], "by=carrier&from=2026-03-03&to=2026-03-12"),
    ],
)
def test_the_report_is_the_one_of_the_command_line(
    filled: EmbeddedRunner,
    api: TestClient[Litestar],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    query: str,
) -> None:
    found = api.get(f"/v1/report?{query}")
    assert found.status_code == 200
    assert found.json() == printed(database_url, monkeypatch, "report", *arguments)


def test_the_alerts_are_those_of_the_command_line(
    filled: EmbeddedRunner, api: TestClient[Litestar], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = api.get("/v1/alerts").json()
    assert found == printed(database_url, monkeypatch, "alerts")
    assert [alert["value"] for alert in found] == ["Lyon"]


def test_segments_are_listed_by_level(filled: EmbeddedRunner, api: TestClient[Litestar]) -> None:
    ingest(filled, completed("SO-7", dimensions={"depot": "Arras"}))
    assert api.get("/v1/segments").json() == [
        {"dimension": "depot", "capacity": 20, "segments": ["Arras", "Lyon"]},
        {"dimension": "carrier", "capacity": 10, "segments": ["Nordex"]},
    ]


def test_the_version_changes_with_every_event_and_only_then(runtime: EmbeddedRunner, api: TestClient[Litestar]) -> None:
    assert api.get("/v1/version").json() == {"version": 0, "processed": 0, "clock": "1970-01-01T00:00:00Z"}
    ingest(runtime, completed())
    first = api.get("/v1/version").json()
    assert first == {"version": 1, "processed": 1, "clock": "2026-03-02T09:00:00Z"}
    assert api.get("/v1/version").json() == first
    ingest(runtime, scanned(time=at(hours=1)))
    assert api.get("/v1/version").json()["processed"] > 1


def test_an_order_has_the_content_of_its_page(filled: EmbeddedRunner, api: TestClient[Litestar]) -> None:
    ingest(filled, repromised("SO-0", at(days=1), at(days=2)))
    found = api.get("/v1/orders/SO-0").json()
    assert found["verdict"] == "embellished"
    assert found["verdict_in_words"].startswith("Embellished: claimed as delivered on time")
    assert found["claim_when_asked"]["on_time_latest"] is True
    assert found["answers"] == [
        {"who": "ana (receiver)", "said": "arrived late; 0 of 10, unhappy", "words": "So it was", "about": []}
    ]
    assert [alert["headline"] for alert in found["alerts"]] == ["Critical: depot Lyon, on time"]
    assert [one["what"] for one in found["timeline"]] == [
        "promise",
        "completed",
        "scan",
        "claim",
        "asked",
        "answer",
        "pair",
        "promise",
        "alert",
    ]
    assert "+447700900123" not in json.dumps(found)


def test_ids_that_cannot_be_part_of_a_path_are_query_parameters(
    runtime: EmbeddedRunner, api: TestClient[Litestar]
) -> None:
    ingest(runtime, completed("2026/11 #1"))
    assert api.get("/v1/orders", params={"id": "2026/11 #1"}).json()["order_id"] == "2026/11 #1"


@pytest.mark.parametrize(
    ("address", "status", "field", "words"),
    [
        ("/v1/report?by=town", 400, "by", "unknown level 'town'; the levels are: depot, carrier"),
        ("/v1/report?from=soon", 400, "from", "'soon' is not a date such as 2026-11-20"),
        ("/v1/report?to=2026-13-01", 400, "to", "is not a date"),
        ("/v1/report?from=2026-03-09&to=2026-03-02", 400, "from", "is after"),
        ("/v1/orders/SO-404", 404, None, "no order 'SO-404' found"),
    ],
)
def test_invalid_requests_name_the_parameter(
    api: TestClient[Litestar], address: str, status: int, field: str | None, words: str
) -> None:
    problem = api.get(address)
    assert problem.status_code == status
    assert problem.headers["content-type"].startswith("application/problem+json")
    assert problem.json().get("field") == field
    assert words in problem.json()["detail"]


def test_openapi_describes_the_responses(runtime: EmbeddedRunner) -> None:
    known = services(runtime, Clock(at()))
    described = Litestar([*read.routes(known), *orders.routes(known)]).openapi_schema.to_schema()
    assert set(described["paths"]) == {
        "/v1/report",
        "/v1/alerts",
        "/v1/segments",
        "/v1/orders",
        "/v1/orders/{order_id}",
        "/v1/version",
    }
    names = [parameter["name"] for parameter in described["paths"]["/v1/report"]["get"]["parameters"]]
    assert sorted(names) == ["by", "from", "to"]
    row = described["components"]["schemas"]["Row"]
    assert set(row["required"]) == set(row["properties"])
    assert {"OrderView", "TimelineEntry", "ReportOut", "AlertOut", "Figure"} <= set(described["components"]["schemas"])
