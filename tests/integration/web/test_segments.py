"""The pages of segments: the worst first, badges, search and sorting; one segment with trend, accounts and words."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import Engine, event

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.web.internal.segments import pages
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.inputs.polyglot import POLYGLOT
from tests.support.requests.installation import Clock, client, services
from tests.support.requests.users import HTML, add_user, app_of, listener, token_of
from tests.support.running.embedded import ingest
from tests.support.statistics.alert_rows import raise_alert
from tests.support.stored import HISTORIC


@pytest.fixture
def web(runtime: EmbeddedRunner) -> Iterator[TestClient[Litestar]]:
    with client(*pages.routes(services(runtime, Clock(at(days=20))))) as made:
        yield made


def add_orders(runtime: EmbeddedRunner, depot: str, many: int, denied: int, *, answers: int | None = None) -> None:
    """Orders of a depot that were claimed on time; the first `denied` answers deny it."""
    events: list[bytes] = []
    for n in range(many):
        order_id, account = f"{depot[:20]}-{n}", f"A-{n % 4}"
        known: dict[str, Any] = {"account": {"id": account}, "contacts": [contact("ana")]}
        events += [
            completed(order_id, at(days=n), dimensions={"depot": depot}, **known, **HISTORIC),
            scanned(order_id, at(days=n, hours=1)),
        ]
        if answers is None or n < answers:
            said: dict[str, Any] = {"arrival": "late" if n < denied else "on_time", "comment": f"{depot} says {n}"}
            events.append(asked(order_id, at(days=n, hours=2), account_id=account))
            events.append(answered(order_id, at(days=n, hours=3), **said))
    ingest(runtime, *events)


@pytest.fixture
def company(runtime: EmbeddedRunner) -> EmbeddedRunner:
    add_orders(runtime, "Lyon", 14, 12)
    add_orders(runtime, "Lille", 30, 0)
    add_orders(runtime, "Nice", 5, 2)
    return runtime


def names(page: str) -> list[str]:
    """The segments of the table, in their order."""
    return re.findall(r'<th role="rowheader" scope="row"><a href="[^"]*"><bdi>(.*?)</bdi>', page)


def row_of(page: str, name: str) -> str:
    return next(row for row in page.split("<tr ") if f"<bdi>{name}</bdi>" in row)


def test_the_largest_difference_times_orders_comes_first(company: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    page = web.get("/segments?by=depot").text
    assert names(page) == ["Lyon", "Lille", "Nice"]
    assert "incident I-1" in row_of(page, "Lyon")
    assert "no proven difference" in row_of(page, "Lille")
    assert "too few answers" in row_of(page, "Nice")
    assert ">12</span>" in row_of(page, "Lyon"), "12 of 14 orders are affected"


def test_segments_are_sorted_and_found(company: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    for query, expected in (
        ("sort=name", ["Lille", "Lyon", "Nice"]),
        ("sort=orders", ["Lille", "Lyon", "Nice"]),
        ("sort=gap", ["Lyon", "Lille", "Nice"]),
        ("sort=experienced", ["Lyon", "Lille", "Nice"]),
        ("sort=unheard-of", ["Lyon", "Lille", "Nice"]),
        ("find=LI", ["Lille"]),
        ("find=y", ["Lyon"]),
        ("find=nowhere", []),
        ("from=2099-01-01", []),
    ):
        assert names(web.get(f"/segments?by=depot&{query}").text) == expected, query


def test_twenty_are_shown_and_all_on_request(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    for n in range(22):
        ingest(runtime, completed(f"SO-{n}", at(), dimensions={"depot": f"D{n:02}"}), scanned(f"SO-{n}", at(hours=1)))
    first = web.get("/segments?by=depot").text
    assert len(names(first)) == 20
    assert "Show all 22" in first
    everything = web.get("/segments?by=depot&show=all").text
    assert len(names(everything)) == 22
    assert "Show the first 20" in everything


def test_an_account_that_alone_contradicts_is_a_badge(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    add_orders(runtime, "Lyon", 4, 1)
    with runtime.engine.begin() as connection:
        raise_alert(connection, "a", kind="single_account", value="Lyon")
    assert "one account" in row_of(web.get("/segments?by=depot").text, "Lyon")


def test_a_segment_has_its_trend_accounts_causes_and_words(company: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    page = web.get("/segment?segment=depot:Lyon&unit=week").text
    assert "Depot Lyon" in page
    assert page.count('role="img"') == 2, "one chart for wide and one for narrow screens"
    assert "Late or not received" in page
    assert "Lyon says 13" in page
    assert "Lille says" not in page
    assert 'href="/incidents/I-1"' in page
    assert re.findall(r"account=A-(\d)", page) == ["0", "1", "2", "3"]
    table = page[page.index("The chart as a table") :]
    assert re.findall(r"<th scope=\"row\">.*?(\d+ \w{3})<", table)[:2] == ["30 Mar", "23 Mar"]
    assert "verdict=embellished" in page


def test_a_period_is_that_of_the_figures_and_of_the_orders_behind_them(
    company: EmbeddedRunner, web: TestClient[Litestar]
) -> None:
    page = web.get("/segment?segment=depot:Lyon&from=2026-03-05&to=2026-03-06").text
    assert "2 of <a" in page
    assert "from=2026-03-05&amp;to=2026-03-06" in page


def test_what_is_no_segment_is_not_found(company: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    for named in ("", "depot", "depot:", "depot:Nowhere", "planet:Mars", "depot:lyon"):
        answer = web.get(f"/segment?segment={named}")
        assert answer.status_code == 404, named
        assert "Segment not found" in answer.text


def test_a_parameter_that_cannot_be_read_is_named(web: TestClient[Litestar]) -> None:
    for address in ("/segments?by=planet", "/segments?from=soon", "/segment?segment=depot:Lyon&to=x"):
        answer = web.get(address)
        assert answer.status_code == 400, address
        assert "Invalid parameter" in answer.text


def test_a_name_may_contain_anything(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    name = f'a/b?c=d&e#"{POLYGLOT[:60]}'.strip()
    add_orders(runtime, name, 2, 1)
    listed = web.get("/segments?by=depot").text
    assert "<script" not in listed.replace('<script type="module" src="/static', "")
    address = re.findall(r'href="(/segment\?[^"]+)"', listed)[0].replace("&amp;", "&")
    assert web.get(address).status_code == 200


def test_who_sees_one_segment_sees_no_other(company: EmbeddedRunner) -> None:
    add_user(company.engine, "lea", Role.OPERATIONS, "depot=Lille")
    header = token_of(company.engine, "lea") | HTML
    with listener(app_of(company)) as web:
        assert names(web.get("/segments?by=depot", headers=header).text) == ["Lille"]
        assert web.get("/segment?segment=depot:Lille", headers=header).status_code == 200
        assert web.get("/segment?segment=depot:Lyon", headers=header).status_code == 404


def counted(engine: Engine, web: TestClient[Litestar], address: str) -> int:
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert web.get(address).status_code == 200
    return len(statements)


@pytest.mark.parametrize("address", ["/segments?by=depot&show=all", "/segment?segment=depot:Lyon"])
def test_pages_need_few_statements_however_many_segments_there_are(
    company: EmbeddedRunner, web: TestClient[Litestar], address: str
) -> None:
    before = counted(company.engine, web, address)
    for n in range(5):
        add_orders(company, f"More {n}", 2, 1)
    assert counted(company.engine, web, quote(address, safe="/?=&:")) <= before <= 18
