"""The list and pages of cases, what people do on them, and who sees what."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from typer.testing import CliRunner

from pipeline.cli import app as command
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.domain.cases.case import case_id_of
from pipeline.store.asks.inbox import item_id_of
from pipeline.store.schema.alerting.cases import case_acts, cases
from pipeline.store.schema.orders import timers
from pipeline.store.schema.people import sealing_keys
from pipeline.web.internal.cases import api, pages
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.requests.installation import Clock, client, services
from tests.support.requests.users import add_user, app_of, listener, token_of
from tests.support.running.embedded import ingest
from tests.support.stored import rows

CASE = case_id_of("SO-1", "ana")


@pytest.fixture
def web(runtime: EmbeddedRunner) -> Iterator[TestClient[Litestar]]:
    known = services(runtime, Clock(at(days=1)))
    with client(*api.routes(known), *pages.routes(known)) as made:
        yield made


def complain(runtime: EmbeddedRunner, order_id: str = "SO-1", hours: float = 3, **data: Any) -> None:
    account, depot = data.pop("account", "A-1"), data.pop("depot", "Lyon")
    known: dict[str, Any] = {"account": {"id": account}, "dimensions": {"depot": depot}, "contacts": [contact("ana")]}
    said: dict[str, Any] = {"arrival": "late", "comment": "the driver <b>left</b>"} | data
    ingest(
        runtime,
        completed(order_id, at(), **known),
        scanned(order_id, at(hours=1)),
        asked(order_id, at(hours=2), account_id=account),
        answered(order_id, at(hours=hours), **said),
    )


def run(database_url: str, monkeypatch: pytest.MonkeyPatch, *arguments: str, code: int = 0) -> str:
    monkeypatch.setenv("UNVARNISHED_DATABASE_URL", database_url)
    monkeypatch.setenv("UNVARNISHED_MASTER_KEY", bytes(range(32)).hex())
    done = CliRunner().invoke(command, list(arguments))
    assert done.exit_code == code, done.output
    return done.output


def test_the_list_is_paged_by_due_time_and_counts_what_is_open(
    runtime: EmbeddedRunner, web: TestClient[Litestar]
) -> None:
    for n in range(5):
        complain(runtime, f"SO-{n}", hours=3 + n, arrival="not_received" if n == 4 else "late")
    first = web.get("/v1/cases?limit=2").json()
    assert (first["open"], first["overdue"]) == (5, 0)
    assert [case["order_id"] for case in first["cases"]] == ["SO-4", "SO-0"]
    second = web.get(f"/v1/cases?limit=2&after={first['next']}").json()
    third = web.get(f"/v1/cases?limit=2&after={second['next']}").json()
    assert [case["order_id"] for page in (second, third) for case in page["cases"]] == ["SO-1", "SO-2", "SO-3"]
    assert third["next"] is None
    assert web.get("/v1/cases?after=C-NONE").status_code == 400
    assert web.get("/v1/cases?owner=ben").json()["cases"] == []


def test_a_case_shows_its_conversation_and_every_act(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    complain(runtime)
    assert web.post(f"/v1/cases/{CASE}/assign", json={"owner": "ben"}).json()["state"] == "assigned"
    web.post(f"/v1/cases/{CASE}/note", json={"kind": "call", "words": "she waits for the rest"})
    done = web.post(f"/v1/cases/{CASE}/close", json={"outcome": "delivered", "words": "the rest came on Friday"})
    assert (done.status_code, done.json()["state"], done.json()["outcome"]) == (200, "closed", "delivered")

    found = web.get(f"/v1/cases/{CASE}").json()
    assert [(act["change"] or act["what"], act["by"], act["words"]) for act in found["acts"]] == [
        ("opened", "customer", None),
        ("assigned", "local", None),
        ("noted", "local", "she waits for the rest"),
        ("closed", "local", "the rest came on Friday"),
    ]
    assert [step["words"] for step in found["conversation"]] == [None, "the driver <b>left</b>"]
    assert web.get("/v1/cases").json()["cases"] == []
    assert [case["id"] for case in web.get("/v1/cases?closed=true").json()["cases"]] == [CASE]
    assert [timer for timer in rows(runtime, timers) if timer["kind"] == "case_due"] == []
    assert web.post(f"/v1/cases/{CASE}/reopen", json={}).json()["due_at"] == "2026-03-06T09:00:00Z"
    assert all((row["words"] or "x") in "she waits for the rest the rest came on Friday x" for row in _acts(runtime))


def _acts(runtime: EmbeddedRunner) -> list[dict[str, Any]]:
    """The acts; their words opened by `rows`, so they were sealed with a key of the installation."""
    return rows(runtime, case_acts)


@pytest.mark.parametrize(
    ("act", "body", "status", "field"),
    [
        ("assign", {}, 422, "owner"),
        ("note", {"kind": "call"}, 422, "words"),
        ("note", {"kind": "fax", "words": "x"}, 422, "kind"),
        ("close", {"outcome": "luck", "words": "x"}, 422, "outcome"),
        ("close", {"outcome": "explained"}, 422, "words"),
        ("reopen", {}, 409, None),
        ("explode", {}, 404, None),
    ],
)
def test_a_refused_act_names_the_field(
    runtime: EmbeddedRunner, web: TestClient[Litestar], act: str, body: dict[str, str], status: int, field: str | None
) -> None:
    complain(runtime)
    done = web.post(f"/v1/cases/{CASE}/{act}", json=body)
    assert (done.status_code, done.json().get("field")) == (status, field)


@pytest.mark.parametrize("case_id", ["C-9", "C-", "1", "C-٣"])
def test_an_unknown_case_is_not_found(web: TestClient[Litestar], case_id: str) -> None:
    assert web.get(f"/v1/cases/{case_id}").status_code == 404
    assert web.get(f"/cases/{case_id}").status_code == 404
    assert web.post(f"/v1/cases/{case_id}/assign", json={"owner": "ben"}).status_code == 404


def test_people_act_on_the_page(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    complain(runtime)
    assert CASE in web.get("/cases").text
    page = web.post(f"/cases/{CASE}/note", data={"kind": "call", "words": "<i>angry</i>", "csrf": ""}).text
    assert "Phone call" in page
    assert "&lt;i&gt;angry" in page
    assert "<b>left" not in page
    refused = web.post(f"/cases/{CASE}/close", data={"outcome": "explained", "words": ""})
    assert refused.status_code == 422
    assert "words: is required" in refused.text
    assert "Reopen" in web.post(f"/cases/{CASE}/close", data={"outcome": "explained", "words": "we called"}).text
    assert "Closed lately" in web.get("/cases").text


def test_everybody_sees_the_cases_of_their_scope_and_auditors_no_words(runtime: EmbeddedRunner) -> None:
    complain(runtime, "SO-1")
    complain(runtime, "SO-2", account="A-2", depot="Nancy")
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    add_user(runtime.engine, "rolf", Role.OPERATIONS, "depot=Lyon")
    add_user(runtime.engine, "ann", Role.ACCOUNT_MANAGER, "account=A-2")
    add_user(runtime.engine, "audit", Role.AUDITOR)
    seen = {"mia": ["SO-1", "SO-2"], "rolf": ["SO-1"], "ann": ["SO-2"], "audit": ["SO-1", "SO-2"]}
    with listener(app_of(runtime)) as web:
        for name, orders in seen.items():
            headers = token_of(runtime.engine, name)
            found = web.get("/v1/cases", headers=headers).json()
            assert sorted(case["order_id"] for case in found["cases"]) == orders
            assert found["open"] == len(orders)
            shown = web.get(f"/v1/cases/{CASE}", headers=headers)
            assert shown.status_code == (200 if "SO-1" in orders else 404)
            assert ("the driver" in shown.text) == (name in ("mia", "rolf"))
            assert "+4477" not in shown.text
            acted = web.post(f"/v1/cases/{CASE}/note", json={"words": "seen"}, headers=headers)
            assert acted.status_code == {"ann": 404, "audit": 403}.get(name, 200)


def test_the_inbox_shows_the_cases_of_the_scope_that_are_due_first(runtime: EmbeddedRunner) -> None:
    for n in range(12):
        complain(runtime, f"SO-{n}", hours=3 + n, depot="Lyon" if n % 2 else "Paris")
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    add_user(runtime.engine, "rolf", Role.OPERATIONS, "depot=Lyon")
    with listener(app_of(runtime)) as made:
        pages_of = {
            name: made.get("/inbox", headers=token_of(runtime.engine, name)).text.split('id="cases-title"')[1]
            for name in ("mia", "rolf")
        }
    assert [n for n in range(12) if f">SO-{n}<" in pages_of["mia"]] == list(range(10)), "those that are due first"
    assert [n for n in range(12) if f">SO-{n}<" in pages_of["rolf"]] == [1, 3, 5, 7, 9, 11]


def test_the_account_manager_of_the_account_owns_its_cases(runtime: EmbeddedRunner) -> None:
    add_user(runtime.engine, "ann", Role.ACCOUNT_MANAGER, "account=A-1", "account=A-2")
    add_user(runtime.engine, "bob", Role.ACCOUNT_MANAGER, "account=A-2")
    complain(runtime, "SO-1")
    complain(runtime, "SO-2", account="A-2")
    assert {case["order_id"]: case["owner"] for case in rows(runtime, cases)} == {"SO-1": "ann", "SO-2": None}


def test_a_reply_in_the_inbox_that_asks_for_something_opens_a_case(
    runtime: EmbeddedRunner, web: TestClient[Litestar], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    complain(runtime, arrival="on_time")
    unread = answered("SO-1", at(hours=5), "ben", event_id="ask", comment="the green one")
    ingest(runtime, unread)
    item = item_id_of("erp", "ask")
    assert rows(runtime, cases) == []
    opened = web.post(f"/v1/inbox/{item}/case", json={"request": "call"}).json()
    assert (opened["reasons"], opened["severity"], opened["contact_id"]) == (["call"], "major", "ben")
    assert "question" in web.post(f"/inbox/{item}/case", data={"request": "question", "csrf": ""}).text
    assert [one["reasons"] for one in rows(runtime, cases)] == ['["call","question"]']
    assert web.post(f"/v1/inbox/{item}/case", json={"request": "money"}).json()["field"] == "request"
    assert web.post("/v1/inbox/nothing/case", json={"request": "call"}).status_code == 404
    assert "is open" in run(database_url, monkeypatch, "inbox", "case", item, "--question")


def test_the_commands_list_show_and_act(
    runtime: EmbeddedRunner, web: TestClient[Litestar], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    complain(runtime)
    listed = json.loads(run(database_url, monkeypatch, "cases", "--format", "json"))
    assert listed == web.get("/v1/cases").json()["cases"]
    assert CASE in run(database_url, monkeypatch, "cases")
    run(database_url, monkeypatch, "cases", "assign", CASE, "ben")
    run(database_url, monkeypatch, "cases", "note", CASE, "she was friendly", "--call")
    assert "is closed" in run(database_url, monkeypatch, "cases", "close", CASE, "explained", "by phone")
    shown = run(database_url, monkeypatch, "cases", "show", CASE)
    for part in ("she was friendly", "phone call", "by phone", "the driver", "ben"):
        assert part in shown
    assert "is closed" in run(database_url, monkeypatch, "cases", "close", CASE, "luck", "x", code=2)
    assert "is assigned" in run(database_url, monkeypatch, "cases", "reopen", CASE)
    assert "no case" in run(database_url, monkeypatch, "cases", "show", "C-1", code=2)


def test_notes_belong_to_the_person_for_export_and_erasure(
    runtime: EmbeddedRunner, web: TestClient[Litestar], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    complain(runtime)
    web.post(f"/v1/cases/{CASE}/note", json={"words": "her number is new"})
    exported = run(database_url, monkeypatch, "person", "export", "A-1/ana")
    assert "her number is new" in exported
    with runtime.engine.begin() as connection:
        connection.execute(sealing_keys.delete().where(sealing_keys.c.kind == "person"))
    assert "her number is new" not in web.get(f"/v1/cases/{CASE}").text
    assert web.get(f"/cases/{CASE}").status_code == 200
