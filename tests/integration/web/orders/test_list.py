"""The list of orders as a page and as JSON, the search, and links from figures to the orders behind them."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from litestar.testing import TestClient

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.web.internal.areas import AREAS, SETTINGS
from tests.support.builders import answered, asked, at, cancelled, completed, contact, repromised, scanned
from tests.support.requests.users import HTML, add_user, app_of, listener, token_of
from tests.support.running.embedded import ingest

_LINK = re.compile(r'<a href="(/orders\?[^"]*)"[^>]*>([\d,]+)( [a-z ]+)?</a>')
_NUMBER = re.compile(r'<p class="lead">([\d,]+) orders?')
_ROW = re.compile(r'<th role="rowheader" scope="row"><a href="[^"]*"><bdi>([^<]*)</bdi>')


@pytest.fixture
def site(runtime: EmbeddedRunner) -> Iterator[tuple[TestClient[Any], EmbeddedRunner]]:
    for number in range(60):
        order_id, day = f"SO-2026/{number:04d}", number % 7
        when, depot = at(day, hours=number / 10), ("Lyon", "Nantes")[number % 2]
        people = [] if number % 9 == 8 else [contact(f"c-{number}", phone=f"+4477009{number:05d}")]
        account = {"id": f"A-{number % 5}", "name": f"Atelier Roux {number % 5}"}
        events = [completed(order_id, when, account=account, contacts=people, dimensions={"depot": depot})]
        if number % 10 == 3:
            events.append(repromised(order_id, at(day + 1), at(day + 3)))
            events.append(scanned(order_id, at(day + 2)))
        elif number % 10 == 4:
            events.append(cancelled(order_id, at(day, hours=number / 10)))
        else:
            events.append(scanned(order_id, at(day, hours=number / 10 + 0.1)))
        if people and number % 4:
            said: dict[str, Any] = {
                "arrival": "late" if number % 3 == 0 else "on_time",
                "score": {"value": number % 11},
            }
            said |= {"complete": True} if number % 2 else {"condition": ["damaged"]}
            events.append(asked(order_id, at(day + 2, hours=1), f"c-{number}"))
            events.append(answered(order_id, at(day + 2, hours=2), f"c-{number}", comment=f"Crushed {number}", **said))
        ingest(runtime, *events)
    add_user(runtime.engine, "mia")
    add_user(runtime.engine, "rolf", Role.OPERATIONS, "depot=Lyon")
    add_user(runtime.engine, "audit", Role.AUDITOR)
    add_user(runtime.engine, "ada", Role.ADMIN)
    with listener(app_of(runtime)) as made:
        yield made, runtime


def ids_in_pages(client: TestClient[Any], headers: dict[str, str], address: str) -> list[str]:
    """The orders of all pages of a list."""
    found: list[str] = []
    while True:
        page = client.get(address, headers=headers | HTML)
        assert page.status_code == 200, page.text
        found += [unescape(one) for one in _ROW.findall(page.text)]
        more = re.search(r'<a href="([^"]*)" rel="next">', page.text)
        if more is None:
            return found
        address = unescape(more[1])


@pytest.mark.parametrize("address", ["/dashboard?by=depot", "/dashboard?by=depot&from=2026-03-04&to=2026-03-06"])
@pytest.mark.parametrize("name", ["mia", "rolf"])
def test_each_number_that_is_a_link_leads_to_as_many_orders(
    site: tuple[TestClient[Any], EmbeddedRunner], name: str, address: str
) -> None:
    client, runtime = site
    headers = token_of(runtime.engine, name)
    links = {(unescape(link), text) for link, text, _ in _LINK.findall(client.get(address, headers=headers).text)}
    assert len(links) > 12
    for link, text in sorted(links):
        orders = ids_in_pages(client, headers, link)
        assert len(set(orders)) == len(orders) == int(text.replace(",", "")), (link, text)
        stated = _NUMBER.search(client.get(link, headers=headers).text)
        assert stated is not None
        assert int(stated[1].replace(",", "")) == len(orders)


def test_pages_of_the_list_have_every_order_once_and_fifty_a_page(
    site: tuple[TestClient[Any], EmbeddedRunner],
) -> None:
    client, runtime = site
    mia = token_of(runtime.engine, "mia")
    first = client.get("/orders", headers=mia).text
    assert len(_ROW.findall(first)) == 50
    assert "60 orders" in first
    for address in ("/orders", "/orders?to=2026-12-31", "/orders?segment=depot:Lyon&segment=depot:Nantes"):
        assert sorted(ids_in_pages(client, mia, address)) == [f"SO-2026/{n:04d}" for n in range(60)]


def test_the_filter_form_shows_what_is_in_the_address_and_each_chip_removes_its_filter(
    site: tuple[TestClient[Any], EmbeddedRunner],
) -> None:
    client, runtime = site
    address = "/orders?verdict=embellished&segment=depot%3ALyon&code=late&from=2026-03-02&words=crushed&reason="
    page = client.get(address, headers=token_of(runtime.engine, "mia")).text
    assert '<option value="embellished" selected>' in page
    assert 'value="depot:Lyon"' in page
    assert 'type="date" value="2026-03-02"' in page
    without = [unescape(one) for one in re.findall(r'<a href="(/orders[^"]*)" aria-label="Remove', page)]
    assert len(without) == 5
    assert any("verdict" not in one and "words=crushed" in one for one in without)
    assert client.get("/orders?verdict=great", headers=token_of(runtime.engine, "mia") | HTML).status_code == 400


def test_the_api_pages_through_all_orders_and_follows_changes(
    site: tuple[TestClient[Any], EmbeddedRunner],
) -> None:
    client, runtime = site
    rolf = token_of(runtime.engine, "rolf")
    found, query = [], {"limit": "7"}
    while True:
        page = client.get("/v1/orders", params=query, headers=rolf).json()
        found += page["orders"]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert len({one["order_id"] for one in found}) == len(found) == 30
    assert {one["dimensions"]["depot"] for one in found} == {"Lyon"}
    newest = found[0]["last_event_at"]
    ingest(runtime, scanned("SO-2026/0002", at(days=30), status="exception"))
    ingest(runtime, scanned("SO-2026/0003", at(days=30), status="exception"))
    changed = client.get("/v1/orders", params={"modified_since": newest}, headers=rolf).json()["orders"]
    assert changed[0]["order_id"] == "SO-2026/0002"
    assert "SO-2026/0003" not in [one["order_id"] for one in changed], "another depot"
    embellished = client.get("/v1/orders?verdict=embellished", headers=rolf).json()["orders"]
    assert embellished
    assert {one["verdict"] for one in embellished} == {"embellished"}
    assert embellished[0]["words"][0].startswith("Crushed")


WRONG = (
    ("verdict=good", "verdict"),
    ("reason=none", "reason"),
    ("segment=Lyon", "segment"),
    ("code=x", "code"),
    ("counted=x", "counted"),
    ("from=2026-03-09&to=2026-03-02", "from"),
    ("modified_since=2026-03-02", "modified_since"),
    ("after=nonsense", "after"),
    ("after=,2026-03-02T09:00:00,SO-1", "after"),
    ("to=2026-03-09&after=,2026-03-02T09:00:00%2B00:00,SO-1", "after"),
    ("words=%21%21", "words"),
    ("id=SO-1&code=x", "code"),
    ("id=SO-1&after=nonsense", "after"),
)


def test_a_wrong_parameter_is_named(site: tuple[TestClient[Any], EmbeddedRunner]) -> None:
    client, runtime = site
    mia = token_of(runtime.engine, "mia")
    for query, field in WRONG:
        answer = client.get(f"/v1/orders?{query}", headers=mia)
        assert (answer.status_code, answer.json().get("field")) == (400, field), query


SEARCHES = (
    ("so-2026/0007", "SO-2026/0007"),  # all of it, in another case
    ("0007", "SO-2026/0007"),  # a number in it
    ("7", "SO-2026/0007"),  # without its zeros
    ("026/0007", "SO-2026/0007"),  # from the middle
    ("SO-2026/000", "SO-2026/0003"),
    ("roux 3", "Atelier Roux 3"),
    ("ATELIER", "Atelier Roux 1"),
    ("a-4", "A-4"),
    ("yon", "Lyon"),
)


def test_the_search_finds_orders_customers_and_segments(site: tuple[TestClient[Any], EmbeddedRunner]) -> None:
    client, runtime = site
    mia = token_of(runtime.engine, "mia")
    for q, found in SEARCHES:
        page = client.get("/search", params={"q": q}, headers=mia)
        assert page.status_code == 200, q
        assert f"<bdi>{found}</bdi>" in page.text, (q, page.text)


def test_the_search_finds_what_is_in_the_scope_only(site: tuple[TestClient[Any], EmbeddedRunner]) -> None:
    client, runtime = site
    rolf, audit = token_of(runtime.engine, "rolf"), token_of(runtime.engine, "audit")
    assert "SO-2026/0007" not in client.get("/search?q=0007", headers=rolf).text.split("</header>")[1]
    assert "SO-2026/0008" in client.get("/search?q=0008", headers=rolf).text
    assert "Nantes" not in client.get("/search?q=antes", headers=rolf).text
    assert "<bdi>" not in client.get("/search?q=0008", headers=audit).text.split('id="main"')[1].split("</h1>")[1]
    assert "Lyon" in client.get("/search?q=lyo", headers=audit).text


def test_the_frame_has_the_areas_that_the_viewer_may_open(site: tuple[TestClient[Any], EmbeddedRunner]) -> None:
    client, runtime = site
    for name in ("mia", "rolf", "audit", "ada"):
        headers = token_of(runtime.engine, name) | HTML
        page = client.get("/settings", headers=headers).text
        for area in (*AREAS, *SETTINGS):
            shown = f'<a href="{area.path}"' in page
            assert shown == (client.get(area.path, headers=headers).status_code == 200), (name, area.name)
        assert '<a href="/settings" aria-current="page">' in page
        assert ('role="search"' in page) == (name != "ada")
