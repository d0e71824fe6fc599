"""What pages say to users who see a part: nothing about the fleet, and why there is nothing where that is so."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import select

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.store.schema.evidence import evidence
from tests.support.builders import answered, at, completed, scanned
from tests.support.requests.users import HTML, START_TOKEN, add_user, app_of, listener, token_of
from tests.support.running.embedded import ingest
from tests.support.statistics.alert_rows import raise_alert

PEOPLE: dict[str, tuple[Role, tuple[str, ...]]] = {
    "mia": (Role.MANAGEMENT, ()),
    "rolf": (Role.OPERATIONS, ("depot=Lyon", "depot=Lille")),
    "two": (Role.OPERATIONS, ("depot=Lyon", "carrier=Nordex")),
    "site": (Role.OPERATIONS, ("site=North",)),
    "amy": (Role.ACCOUNT_MANAGER, ("account=A-1", "account=A-2")),
}


@pytest.fixture
def client(runtime: EmbeddedRunner) -> Iterator[TestClient[Any]]:
    for number in range(30):
        order_id, when = f"SO-{number}", at(hours=number)
        where = {"depot": ("Lyon", "Lille", "Rouen")[number % 3], "carrier": "Nordex", "site": "North"}
        said = {"arrived_at": at(hours=number + 6).isoformat(), "comment": f"words {number}"}
        ingest(
            runtime,
            completed(order_id, when, account={"id": f"A-{number % 2}"}, dimensions=where),
            scanned(order_id, when),
            answered(order_id, at(hours=number + 8), arrival="late", **said),
        )
    with runtime.engine.begin() as connection:
        lyon = evidence.c.dimension == "depot", evidence.c.value == "Lyon", evidence.c.signal == "on_time"
        with_pairs = connection.execute(select(evidence).where(*lyon)).mappings().all()
        connection.execute(evidence.insert(), [dict(row) | {"signal": "early"} for row in with_pairs])
        raise_alert(connection, "early/depot/Lyon/1", at(hours=30), dimension="depot", value="Lyon", signal="early")
    for name, (role, scope) in PEOPLE.items():
        add_user(runtime.engine, name, role, *scope)
    with listener(app_of(runtime)) as made:
        yield made


def dashboard(runtime: EmbeddedRunner, client: TestClient[Any], name: str) -> str:
    answer = client.get("/dashboard?by=depot", headers=token_of(runtime.engine, name) | HTML)
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]*>", " ", answer.text).split())


def test_a_finding_is_compared_with_what_the_reader_sees(runtime: EmbeddedRunner, client: TestClient[Any]) -> None:
    everything = dashboard(runtime, client, "mia")
    assert "in the rest of the fleet 100.0%" in everything
    assert "each depot is compared with all others" in everything
    part = dashboard(runtime, client, "rolf")
    assert "in the rest of your scope 100.0%" in part
    assert "each depot is compared with the others in your scope" in part
    assert "the rest of the fleet" not in part
    assert "only users who see all orders are shown it" in part


def test_entries_of_several_levels_have_no_total_and_the_page_says_why(
    runtime: EmbeddedRunner, client: TestClient[Any]
) -> None:
    assert "Your scope names segments of several levels." in dashboard(runtime, client, "two")
    assert "Your scope names" not in dashboard(runtime, client, "rolf")


def test_a_scope_without_figures_is_told_why_and_what_there_is(
    runtime: EmbeddedRunner, client: TestClient[Any]
) -> None:
    page = dashboard(runtime, client, "amy")
    assert "You see the orders of accounts A-1, A-2. Figures and alerts are counted by depot and carrier" in page
    assert "Find an order of your scope" in page
    assert "words 29" in page, "comments of the own accounts"
    assert "words 28" not in page, "account A-0"
    for absent in ("Tolerance", "Survey coverage", "Claimed on time"):
        assert absent not in page
    assert "You see the orders of site=North." in dashboard(runtime, client, "site")


def test_more_segments_than_configured_are_named_to_those_who_see_the_fleet_only(
    runtime: EmbeddedRunner, client: TestClient[Any]
) -> None:
    for number in range(40):
        ingest(runtime, completed(f"SO-x{number}", at(hours=40), dimensions={"depot": f"D{number}"}))
    assert "More segments than configured" in dashboard(runtime, client, "mia")
    assert "More segments than configured" not in dashboard(runtime, client, "rolf")


def test_a_page_of_an_export_tells_each_order_in_the_order_of_time(
    runtime: EmbeddedRunner, client: TestClient[Any]
) -> None:
    person = {"account": "A-1", "contact": "ana"}
    page = client.post("/persons/export", data=person, headers=token_of(runtime.engine, "amy") | HTML).text
    shown = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    orders = [f"Order SO-{number} " for number in range(29, 0, -2)]
    assert [shown.index(order) for order in orders] == sorted(shown.index(order) for order in orders), "newest first"
    newest = shown[shown.index(orders[0]) : shown.index(orders[1])]
    steps = ["The order names this person as receiver", "consent: sms, by contract", "Answer by SMS", "words 29"]
    assert [newest.index(step) for step in steps] == sorted(newest.index(step) for step in steps)
    assert "Every stored field" in shown


def test_every_page_for_people_has_the_menu(runtime: EmbeddedRunner) -> None:
    from pipeline.web.internal.demo_phone import phone

    with listener(app_of(runtime, None, phone.routes)) as client:
        for path in (
            "/",
            "/dashboard",
            "/report",
            "/incidents",
            "/alerts",
            "/inbox",
            "/users",
            "/persons",
            "/acts",
            "/account",
            "/phone",
        ):
            page = client.get(path, headers={"authorization": f"Bearer {START_TOKEN}"} | HTML)
            assert page.status_code == 200
            assert '<nav class="areas"' in page.text, path
