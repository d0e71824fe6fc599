"""The scorecard: figures by the customer's dates, links that end, and nothing of any person."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any, NamedTuple

import pytest
from litestar.testing import TestClient

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.store.schema.orders import scorecard_links
from pipeline.web.http.server import public_app
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.dump import dump
from tests.support.requests.installation import Clock, services
from tests.support.requests.users import HTML, add_user, app_of, listener, token_of
from tests.support.running.embedded import ingest
from tests.support.stored import rows

_MADE = re.compile(r'<code class="made">[^<]*(/s/[^<]*)</code>')
_KEY = re.compile(r'name="key" value="([^"]*)"')


class Site(NamedTuple):
    internal: TestClient[Any]
    public: TestClient[Any]
    runtime: EmbeddedRunner
    clock: Clock


@pytest.fixture
def site(runtime: EmbeddedRunner) -> Iterator[Site]:
    for number in range(4):
        order_id, when = f"SO-{number}", at(number)
        people = [contact("ana", name="Ana Secret")]
        ingest(
            runtime,
            completed(
                order_id,
                when,
                account={"id": "A-1", "name": "Atelier Roux"},
                contacts=people,
                requested_at=at(number, hours=1 if number == 0 else 9),
                promised_at=at(number, hours=9),
            ),
            scanned(order_id, at(number, hours=3)),
            asked(order_id, at(number, hours=4)),
        )
    ingest(runtime, answered("SO-1", at(4), arrival="late", score={"value": 1}, comment="Terrible words"))
    ingest(runtime, completed("SO-9", at(4), account={"id": "A-2", "name": "Other Firm"}))
    for name, role, scope in (
        ("mia", Role.MANAGEMENT, ()),
        ("ann", Role.ACCOUNT_MANAGER, ("account=A-1",)),
        ("bob", Role.ACCOUNT_MANAGER, ("account=A-2",)),
        ("rolf", Role.OPERATIONS, ("depot=Lyon",)),
        ("audit", Role.AUDITOR, ()),
    ):
        add_user(runtime.engine, name, role, *scope)
    clock = Clock(at(5))
    with listener(app_of(runtime, clock)) as internal, listener(public_app(services(runtime, clock))) as public:
        yield Site(internal, public, runtime, clock)


def make(site: Site, name: str = "mia", account: str = "A-1", period: str = "all") -> str:
    """The path of a new link."""
    answer = site.internal.post(
        "/accounts/scorecard/links",
        data={"account": account, "period": period},
        headers=token_of(site.runtime.engine, name) | HTML,
    )
    assert answer.status_code == 200, answer.text
    found = _MADE.search(answer.text)
    assert found is not None
    return unescape(found[1])


def read(site: Site, path: str, language: str = "en") -> tuple[int, str]:
    answer = site.public.get(path, headers={"accept-language": language})
    return answer.status_code, answer.text


def test_the_page_counts_by_the_dates_of_the_customer(site: Site) -> None:
    headers = token_of(site.runtime.engine, "mia") | HTML
    page = site.internal.get("/accounts/scorecard?account=A-1&period=2026-03", headers=headers).text
    assert "3 of 4 deliveries, by the date requested" in page
    assert '<span class="point">0 of 1</span>' in page, "the complaint is a case that nobody has settled"
    assert "4 orders" in page


def test_a_link_opens_the_scorecard_in_the_language_of_the_reader(site: Site) -> None:
    path = make(site)
    status, english = read(site, path)
    assert status == 200
    assert "Delivery scorecard" in english
    assert "Atelier Roux" in english
    assert "75.0%" in english
    assert "3 of 4" in english
    assert "75,0" in read(site, path, "de")[1]
    assert "٣ من ٤" in read(site, path, "ar")[1]
    assert 'dir="rtl"' in read(site, path, "fa")[1]


def test_a_scorecard_has_no_person_no_words_and_nothing_of_other_accounts(site: Site) -> None:
    text = read(site, make(site))[1]
    for secret in ("Ana", "ana", "Terrible", "SO-1", "Other Firm", "A-2", "+44", "mia"):
        assert secret not in text, secret


def test_an_expired_link_says_so_and_one_that_never_was_or_is_revoked_reveals_nothing(site: Site) -> None:
    path = make(site)
    site.clock.moment += timedelta(days=29)
    assert read(site, path)[0] == 200
    site.clock.moment += timedelta(days=2)
    status, text = read(site, path)
    assert status == 404
    assert "This link has expired. Please ask us for a new one." in text
    assert "Atelier" not in text
    status, text = read(site, "/s/" + "x" * 43, "fr")
    assert status == 404
    assert "Atelier" not in text
    assert "expiré" not in text


def test_a_revoked_link_is_closed_and_both_acts_are_recorded(site: Site) -> None:
    path, headers = make(site), token_of(site.runtime.engine, "ann") | HTML
    page = site.internal.get("/accounts/scorecard?account=A-1&period=all", headers=headers).text
    key = _KEY.search(page)
    assert key is not None
    foreign = token_of(site.runtime.engine, "bob") | HTML
    form = {"account": "A-1", "period": "all", "key": key[1]}
    assert site.internal.post("/accounts/scorecard/revoke", data=form, headers=foreign).status_code == 404
    site.internal.post("/accounts/scorecard/revoke", data=form | {"account": "A-2"}, headers=foreign)
    assert read(site, path)[0] == 200
    answer = site.internal.post("/accounts/scorecard/revoke", data=form, headers=headers, follow_redirects=False)
    assert answer.status_code == 303
    assert read(site, path)[0] == 404
    acts = site.internal.get("/acts", headers=token_of(site.runtime.engine, "audit")).text
    assert "scorecard_shared" in acts.replace(" ", "_")
    assert "scorecard_revoked" in acts.replace(" ", "_")


def test_the_database_and_the_acts_have_no_token(site: Site) -> None:
    token = make(site).removeprefix("/s/")
    assert len(token) >= 43
    assert token not in str(dump(site.runtime.engine))
    assert [row["created_by"] for row in rows(site.runtime, scorecard_links)] == ["mia"]


@pytest.mark.parametrize(("name", "status"), [("bob", 404), ("rolf", 404), ("audit", 403)])
def test_nobody_shares_an_account_that_they_do_not_see_as_a_whole(site: Site, name: str, status: int) -> None:
    headers = token_of(site.runtime.engine, name) | HTML
    form = {"account": "A-1", "period": "all"}
    assert site.internal.post("/accounts/scorecard/links", data=form, headers=headers).status_code == status
    assert rows(site.runtime, scorecard_links) == []


def test_opening_a_link_changes_nothing(site: Site) -> None:
    path = make(site)
    before = dump(site.runtime.engine)
    for _ in range(3):
        read(site, path)
    assert dump(site.runtime.engine) == before


def test_guesses_are_slowed_down_and_the_owner_of_a_link_is_not(site: Site) -> None:
    path = make(site)
    statuses = {read(site, f"/s/{'y' * 42}{number % 10}")[0] for number in range(40)}
    assert 429 in statuses
    assert read(site, path)[0] == 200


@pytest.mark.parametrize("token", ["%00", "é" * 43, "x" * 5_000, "' OR 1=1"])
def test_odd_tokens_are_links_that_do_not_work(site: Site, token: str) -> None:
    assert read(site, f"/s/{token}")[0] in (400, 404)


def test_an_auditor_sees_the_card_and_makes_no_links(site: Site) -> None:
    headers = token_of(site.runtime.engine, "audit") | HTML
    page = site.internal.get("/accounts/scorecard?account=A-1&period=all", headers=headers).text
    assert "Delivery scorecard" in page
    assert "Make a link" not in page
