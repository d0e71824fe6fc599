"""The pages of accounts: lists, figures that lead to their orders, one account by role, JSON and files."""

import csv
import io
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from litestar.testing import TestClient

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.inputs.polyglot import POLYGLOT
from tests.support.requests.users import HTML, add_user, app_of, listener, token_of
from tests.support.running.embedded import ingest

_ROWS = re.compile(r'<th role="rowheader" scope="row"><a href="([^"]*)"><bdi>(.*?)</bdi>')
_LINK = re.compile(r'<a href="(/orders\?[^"]*)">([\d,]+)( orders?)?</a>')
_NUMBER = re.compile(r'<p class="lead">([\d,]+) orders?')

Site = tuple[TestClient[Any], EmbeddedRunner]


def add_order(runtime: EmbeddedRunner, number: int, account: str, **said: Any) -> None:
    """An order of an account that its purchaser was asked about, on whom they answer if they say something."""
    order_id, when = f"SO-{number}", at(hours=7 * number)
    people = [contact("rec"), contact("pur", role="purchaser", phone="+447700900199")]
    known: dict[str, Any] = {"account": {"id": account, "name": f"Firm {account}"}, "contacts": people}
    events = [
        completed(order_id, when, dimensions={"depot": "Lyon" if number % 2 else "Nantes"}, **known),
        scanned(order_id, at(hours=7 * number + 0.5)),
        asked(order_id, at(hours=7 * number + 1), "pur", account_id=account),
    ]
    if said:
        events.append(answered(order_id, at(hours=7 * number + 2), "pur", **said))
    ingest(runtime, *events)


@pytest.fixture
def site(runtime: EmbeddedRunner) -> Iterator[Site]:
    for number in range(12):
        add_order(runtime, number, "A-happy", arrival="on_time", score={"value": 10})
    for number in range(12, 20):
        add_order(runtime, number, "A-angry", arrival="late", score={"value": 1}, comment=f"Angry {number}")
    for number in range(20, 24):
        add_order(runtime, number, "A-quiet")
    add_user(runtime.engine, "mia")
    add_user(runtime.engine, "rolf", Role.OPERATIONS, "depot=Lyon")
    add_user(runtime.engine, "ann", Role.ACCOUNT_MANAGER, "account=A-quiet")
    add_user(runtime.engine, "audit", Role.AUDITOR)
    with listener(app_of(runtime)) as made:
        yield made, runtime


def page(site: Site, name: str, address: str, status: int = 200) -> str:
    answer = site[0].get(address, headers=token_of(site[1].engine, name) | HTML)
    assert answer.status_code == status, answer.text
    return answer.text


def test_the_riskiest_account_comes_first_and_the_largest_on_request(site: Site) -> None:
    names = [name for _, name in _ROWS.findall(page(site, "mia", "/accounts?period=all"))]
    assert names == ["Firm A-angry", "Firm A-quiet", "Firm A-happy"]
    names = [name for _, name in _ROWS.findall(page(site, "mia", "/accounts?period=all&sort=orders"))]
    assert names == ["Firm A-happy", "Firm A-angry", "Firm A-quiet"]


def test_every_number_leads_to_as_many_orders(site: Site) -> None:
    pages = ["/accounts?period=all", "/accounts?period=2026-Q1"]
    pages += ["/accounts/one?account=A-angry&period=all", "/accounts/one?account=A-happy&period=2026-03"]
    for address in pages:
        links = _LINK.findall(page(site, "mia", address))
        assert len(links) >= 3, address
        for link, number, _ in links:
            listed = page(site, "mia", unescape(link))
            found = _NUMBER.search(listed)
            assert found is not None, link
            assert found[1] == number, link


def test_a_search_finds_accounts_by_a_word_of_their_name(site: Site) -> None:
    assert [name for _, name in _ROWS.findall(page(site, "mia", "/accounts?period=all&find=ANG"))] == ["Firm A-angry"]
    assert "begins with “<bdi>zz</bdi>”" in page(site, "mia", "/accounts?period=all&find=zz")
    assert "No account has orders in this period" in page(site, "mia", "/accounts?period=2020-Q1")


def test_an_account_shows_who_answers_who_is_silent_and_its_weights(site: Site) -> None:
    angry = page(site, "mia", "/accounts/one?account=A-angry&period=all")
    assert "Score of the account, each role by its weight of influence: <b>1.0</b> of 10" in angry
    assert "UNVARNISHED_INFLUENCE_WEIGHTS" in angry
    assert '<bdi>pur</bdi> <span class="note">purchaser</span></th>' in angry.replace("  ", " ")
    assert re.search(r'<a href="/cases/[^"]*">', angry), "complaints are cases of the account"
    quiet = page(site, "mia", "/accounts/one?account=A-quiet&period=all")
    assert '<bdi>pur</bdi> <span class="note">purchaser</span> <span class="badge badge-warn">silent</span>' in quiet
    assert "+44" not in angry + quiet


def test_an_account_manager_sees_the_own_accounts_alone(site: Site) -> None:
    assert [name for _, name in _ROWS.findall(page(site, "ann", "/accounts?period=all"))] == ["Firm A-quiet"]
    page(site, "ann", "/accounts/one?account=A-quiet")
    assert page(site, "ann", "/accounts/one?account=A-angry", 404) == page(
        site, "ann", "/accounts/one?account=A-nowhere", 404
    ).replace("A-nowhere", "A-angry")


def test_a_scope_of_segments_sees_its_orders_of_an_account_and_no_sums(site: Site) -> None:
    assert "your scope is a part of them" in page(site, "rolf", "/accounts?period=all")
    shown = page(site, "rolf", "/accounts/one?account=A-angry&period=all")
    assert "there are no sums of it for you" in shown
    assert "Of the 4 orders that you see" in shown


def test_an_auditor_sees_figures_without_people_and_links_to_orders(site: Site) -> None:
    shown = page(site, "audit", "/accounts?period=all") + page(site, "audit", "/accounts/one?account=A-angry")
    assert not _LINK.search(shown)
    assert "<bdi>pur</bdi>" not in shown


@pytest.mark.parametrize(
    ("query", "named"),
    [("period=2026-13", "period"), ("period=2026-03", "period"), ("sort=name", "sort"), ("after=x", "after")],
)
def test_a_wrong_parameter_is_named(site: Site, query: str, named: str) -> None:
    assert f"{named}: " in page(site, "mia", f"/accounts?{query}", 400)
    headers = token_of(site[1].engine, "mia")
    assert named in site[0].get(f"/v1/accounts?{query}", headers=headers).text


def test_json_pages_follow_each_other_and_end(site: Site) -> None:
    headers, found, after = token_of(site[1].engine, "mia"), list[str](), ""
    while True:
        answer = site[0].get(f"/v1/accounts?period=all&limit=1&after={after}", headers=headers).json()
        found += [one["account_id"] for one in answer["accounts"]]
        after = answer["next"]
        if after is None:
            break
    assert found == ["A-angry", "A-quiet", "A-happy"]
    one = site[0].get("/v1/accounts?period=all&account=A-angry", headers=headers).json()["accounts"][0]
    assert (one["orders"], one["bad"], one["denied"], one["answered"]) == (8, 8, 8, 8)
    assert one["risk"] == pytest.approx(8 * 8.5 / 13, abs=0.001)
    assert one["open_cases"] >= 1


def test_a_file_has_every_account_of_the_list(site: Site) -> None:
    answer = site[0].get("/export/accounts?period=all", headers=token_of(site[1].engine, "mia"))
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [(row["account_id"], row["orders"]) for row in rows] == [
        ("A-angry", "8"),
        ("A-quiet", "4"),
        ("A-happy", "12"),
    ]
    acts = site[0].get("/acts?who=mia", headers=token_of(site[1].engine, "audit")).text
    assert "accounts" in acts


def test_an_id_may_contain_anything(site: Site) -> None:
    ingest(site[1], completed("SO-odd", at(), account={"id": POLYGLOT[:200], "name": POLYGLOT[:300]}))
    listed = page(site, "mia", "/accounts?period=all&sort=orders")
    address = next(link for link, name in _ROWS.findall(listed) if "Firm" not in name)
    shown = page(site, "mia", unescape(address))
    assert POLYGLOT[:200] not in shown, "it is escaped"
    assert 'id="headline"' in shown
