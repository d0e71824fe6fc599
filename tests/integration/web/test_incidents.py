"""The lists and pages of incidents and alerts, and what people do on them."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from time import process_time
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from typer.testing import CliRunner

from pipeline.cli import app as command
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.store.schema.alerting.incidents import incidents
from pipeline.web.internal.api import read
from pipeline.web.internal.incidents import api, pages
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.requests.installation import Clock, client, services
from tests.support.requests.users import add_user, app_of, listener, token_of
from tests.support.running.embedded import ingest
from tests.support.statistics.alert_rows import OPENED, raise_alert
from tests.support.stored import HISTORIC


@pytest.fixture
def web(runtime: EmbeddedRunner) -> Iterator[TestClient[Litestar]]:
    known = services(runtime, Clock(at(days=20)))
    with client(*api.routes(known), *pages.routes(known), *read.routes(known)) as made:
        yield made


@pytest.fixture
def incident(runtime: EmbeddedRunner) -> EmbeddedRunner:
    for n in range(14):
        known: dict[str, Any] = {"account": {"id": f"A-{n % 5}"}, "contacts": [contact("ana")]}
        ingest(
            runtime,
            completed(f"SO-{n}", at(days=n), dimensions={"depot": "Lyon <b>", "carrier": f"C{n}"}, **known, **HISTORIC),
            scanned(f"SO-{n}", at(days=n, hours=1)),
            asked(f"SO-{n}", at(days=n, hours=2), account_id=f"A-{n % 5}"),
            answered(f"SO-{n}", at(days=n, hours=3), arrival="late"),
        )
    return runtime


def printed(database_url: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setenv("UNVARNISHED_DATABASE_URL", database_url)
    done = CliRunner().invoke(command, [*arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_list_is_that_of_the_command_line_and_alerts_name_their_incident(
    incident: EmbeddedRunner, web: TestClient[Litestar], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = web.get("/v1/incidents").json()
    assert found == json.loads(printed(database_url, monkeypatch, "incidents", "--format", "json"))
    (one,) = found
    assert (one["id"], one["state"], one["explains"]) == ("I-1", "open", [])
    assert one["cause"] == {"signal": "on_time", "dimension": "depot", "value": "Lyon <b>"}
    assert set(one["then"]["rate"]) == set(one["now"]["last_30_days"]) == {"value", "low", "high", "n"}
    assert [alert["incident"] for alert in web.get("/v1/alerts").json()] == ["I-1"]
    assert "I-1" in printed(database_url, monkeypatch, "incidents")


def test_an_incident_shows_accounts_orders_and_every_act(incident: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    assert web.post("/v1/incidents/I-1/assign", json={"owner": "ben"}).json()["state"] == "assigned"
    done = web.post("/v1/incidents/I-1/close", json={"cause": "carrier", "words": "Nordex changes the route"})
    assert (done.status_code, done.json()["state"]) == (200, "closed")

    found = web.get("/v1/incidents/I-1").json()
    assert [(act["what"], act["by"]) for act in found["acts"]][-2:] == [("assigned", "local"), ("closed", "local")]
    assert found["acts"][-1]["words"] == "Nordex changes the route"
    assert {account["account"] for account in found["accounts"]} == {f"A-{n}" for n in range(5)}
    assert found["orders"][0] == "SO-13"
    assert found["addresses"] == {"asked": 1, "effective": 1.0, "shared": 1}, "Ana answers for five accounts"
    assert "1 serves three or more accounts" in web.get("/incidents/I-1").text
    assert web.get("/v1/incidents").json() == []


@pytest.mark.parametrize(
    ("act", "body", "status", "field"),
    [
        ("assign", {}, 422, "owner"),
        ("snooze", {"until": "tomorrow", "reason": "x"}, 422, "until"),
        ("snooze", {"until": "2026-03-23T09:00:00", "reason": "x"}, 422, "until"),
        ("snooze", {"until": "2026-05-23T09:00:00Z", "reason": "x"}, 422, "until"),
        ("close", {"cause": "luck", "words": "x"}, 422, "cause"),
        ("close", {"cause": "data"}, 422, "words"),
        ("reopen", {}, 409, None),
        ("explode", {}, 404, None),
    ],
)
def test_a_refused_act_names_the_field(
    incident: EmbeddedRunner, web: TestClient[Litestar], act: str, body: dict[str, str], status: int, field: str | None
) -> None:
    done = web.post(f"/v1/incidents/I-1/{act}", json=body)
    assert (done.status_code, done.json().get("field")) == (status, field)


@pytest.mark.parametrize("incident_id", ["I-9", "I-", "1", "I-x", "I-1٣"])
def test_an_unknown_incident_is_not_found(web: TestClient[Litestar], incident_id: str) -> None:
    assert web.get(f"/v1/incidents/{incident_id}").status_code == 404
    assert web.get(f"/incidents/{incident_id}").status_code == 404
    assert web.post(f"/v1/incidents/{incident_id}/acknowledge", json={}).status_code == 404


def test_people_act_on_the_page(incident: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    shown = web.get("/incidents").text
    assert "I-1" in shown
    assert "<b>" not in shown
    page = web.post("/incidents/I-1/snooze", data={"days": "3", "reason": "waits for <i>Friday</i>", "csrf": ""}).text
    assert "Snoozed" in page
    assert "waits for &lt;i&gt;Friday" in page
    refused = web.post("/incidents/I-1/close", data={"cause": "carrier", "words": ""})
    assert refused.status_code == 422
    assert "words: is required" in refused.text
    assert "Reopen" in web.post("/incidents/I-1/close", data={"cause": "carrier", "words": "agreed"}).text


def test_alerts_of_segments_outside_the_scope_are_left_out_everywhere(incident: EmbeddedRunner) -> None:
    echo = "on_time/carrier/Nordex/1"
    with incident.engine.begin() as connection:
        raise_alert(connection, echo, dimension="carrier", value="Nordex")
        connection.execute(incidents.update().values(explains=json.dumps([echo])))
    add_user(incident.engine, "mia", Role.MANAGEMENT)
    add_user(incident.engine, "rolf", Role.OPERATIONS, "depot=Lyon <b>")
    for name, seen in (("mia", True), ("rolf", False)):
        token = token_of(incident.engine, name)
        with listener(app_of(incident)) as web:
            found = [
                web.get("/v1/incidents", headers=token).json()[0],
                web.get("/v1/incidents/I-1", headers=token).json()["incident"],
                web.post("/v1/incidents/I-1/assign", headers=token, json={"owner": name}).json(),
            ]
            pages = [web.get(path, headers=token).text for path in ("/incidents/I-1", "/alerts")]
        assert [each["explains"] for each in found] == [[echo] if seen else []] * 3
        assert [len(each["alerts"]) for each in found] == [1, 1, 1]
        assert ["carrier Nordex" in page for page in pages] == [seen, seen]
        assert all("depot Lyon &lt;b&gt;" in page for page in pages)


def test_the_page_of_alerts_is_read_by_key_and_stays_small(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    with runtime.engine.begin() as connection:
        for n in range(120):
            raise_alert(connection, f"on_time/depot/D{n:03}/1", OPENED + timedelta(hours=n // 2), value=f"D{n:03}")
    seen: list[str] = []
    address: str | None = "/alerts"
    while address:
        page = web.get(address).text
        assert len(page) < 200_000
        seen += [part.split("<")[0] for part in page.split("depot D")[1:]]
        address = (
            "/alerts?before=" + page.split("/alerts?before=")[1].split('"')[0] if "/alerts?before=" in page else None
        )
    assert [name[:3] for name in seen] == [f"{n:03}" for n in reversed(range(120))]


def test_the_page_of_twenty_five_thousand_alerts_is_quick_and_small(
    runtime: EmbeddedRunner, web: TestClient[Litestar]
) -> None:
    with runtime.engine.begin() as connection:
        for n in range(25_000):
            name = f"a depot with a long name {n:05}"
            raise_alert(connection, f"on_time/depot/{name}/1", OPENED + timedelta(minutes=n), value=name)
    web.get("/alerts")
    started = process_time()
    page = web.get(f"/alerts?before=on_time/depot/a depot with a long name {12_000:05}/1")
    assert (page.status_code, page.text.count("card-title")) == (200, pages.PAGE)
    assert process_time() - started < 0.2
    assert len(page.content) < 200_000


def test_today_has_one_line_for_each_problem_and_one_button_takes_it(incident: EmbeddedRunner) -> None:
    add_user(incident.engine, "mia")
    add_user(incident.engine, "audit", Role.AUDITOR)
    with listener(app_of(incident, Clock(at(days=20)))) as made:
        mia, audit = token_of(incident.engine, "mia"), token_of(incident.engine, "audit")
        page = made.get("/", headers=mia).text
        assert page.count('href="/incidents/I-1"') == 1
        assert 'id="overdue"' in page
        assert 'action="/incidents/I-1/assign"' in page
        assert 'data-label="accounts">5</td>' in page
        assert "<form method" not in made.get("/", headers=audit).text
        assert made.post("/v1/incidents/I-1/assign", json={"owner": "mia"}, headers=mia).status_code == 200
        page = made.get("/", headers=mia).text
        assert 'id="in_hand"' in page
        assert 'id="overdue"' not in page


def test_an_incident_shows_its_orders_as_a_table(incident: EmbeddedRunner) -> None:
    add_user(incident.engine, "mia")
    with listener(app_of(incident, Clock(at(days=20)))) as made:
        page = made.get("/incidents/I-1", headers=token_of(incident.engine, "mia")).text
        assert page.count('<th role="rowheader"') == 14
        assert "arrived late" in page
        assert 'href="/orders?segment=depot%3ALyon' in page


def test_an_incident_begins_with_a_sentence_and_its_weeks(incident: EmbeddedRunner) -> None:
    add_user(incident.engine, "mia")
    add_user(incident.engine, "rolf", Role.OPERATIONS, "depot=Lyon <b>")
    with listener(app_of(incident, Clock(at(days=20)))) as made:
        page = made.get("/incidents/I-1", headers=token_of(incident.engine, "mia")).text
        part = made.get("/incidents/I-1", headers=token_of(incident.engine, "rolf")).text
    sentence = (
        r"Depot Lyon &lt;b&gt; reports its deliveries as on time; its customers disagree: 100\.0% of \d+ cases when"
    )
    assert re.search(sentence, page)
    assert re.search(sentence, part)
    weeks = page[page.index('id="trend"') : page.index('id="act"')]
    assert weeks.count('role="img"') == 2
    assert "On time by week" in weeks
    assert 'class="opened"' in weeks, "the week of the opening is marked"
    assert "from=2026-03-02&amp;to=2026-03-08" in weeks, "a week leads to its orders"
    assert page.index('<details id="how-sure">') < page.index("would trigger this about once in")


def test_today_shows_the_start_page_with_echoes_in_words_and_what_else_waits(incident: EmbeddedRunner) -> None:
    add_user(incident.engine, "mia")
    with incident.engine.begin() as connection:
        echoes = '["on_time/carrier/C1/1", "in_full/region+carrier/N+C1/2"]'
        connection.execute(incidents.update().values(explains=echoes))
    with listener(app_of(incident, Clock(at(days=20)))) as made:
        page = made.get("/", headers=token_of(incident.engine, "mia")).text
    assert "carrier C1: on time" in page
    assert "region N, carrier C1: in full" in page
    assert 'class="spark"' in page
    assert "open case" in page
