"""Cases in a real browser: accessibility, widths, what is overdue, and what people do on the pages."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, ViewportSize, expect
from sqlalchemy import select

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.asking.ask_states import hashed
from pipeline.domain.cases.case import case_id_of
from pipeline.store.db.engine import reading
from pipeline.store.schema.alerting.cases import cases
from pipeline.store.schema.asks import asks
from pipeline.web.http.server import internal_app, public_app
from pipeline.web.internal.cases import acts
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.limits import PATIENCE
from tests.support.requests.installation import Clock, services
from tests.support.requests.users import START_TOKEN, add_user
from tests.support.running.embedded import embedded, ingest
from tests.support.servers import browsing
from tests.support.servers.browsing import DESK, PHONE

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ACCOUNT = "A <b>" + "n" * 80
CASE = case_id_of("SO-0", "ana")
LINK = "s" * 22
_SAID: tuple[dict[str, Any], ...] = (
    {
        "arrival": "not_received",
        "score": {"value": 1},
        "comment": "Where is it? Please <b>call</b> me.",
        "request": "call",
    },
    {"arrival": "late"},
    {"condition": ["damaged", "papers_missing"], "comment": "Box 3 was wet."},
    {"arrival": "on_time", "complete": True, "score": {"value": 4}},
)

expect.set_options(timeout=PATIENCE * 1_000)


class Site(NamedTuple):
    """A served internal listener and its database."""

    address: str
    runtime: EmbeddedRunner


@pytest.fixture
def site(sqlite_database_url: str) -> Iterator[Site]:
    """Four cases; that of an order which never came is overdue."""
    runtime = embedded(sqlite_database_url)
    for n, said in enumerate(_SAID):
        known: dict[str, Any] = {"account": {"id": ACCOUNT if n == 0 else f"A-{n}"}, "contacts": [contact("ana")]}
        ingest(
            runtime,
            completed(f"SO-{n}", at(), **known),
            scanned(f"SO-{n}", at(hours=1)),
            asked(f"SO-{n}", at(hours=2)),
            answered(f"SO-{n}", at(hours=3 + n), **said),
        )
    runtime.tick(at(hours=20))
    for name, role in (("mia", Role.MANAGEMENT), ("auditor", Role.AUDITOR)):
        add_user(runtime.engine, name, role)
    with browsing.served(internal_app(services(runtime, Clock(at(hours=20))), START_TOKEN)) as address:
        yield Site(address, runtime)
    runtime.engine.dispose()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_pages_are_accessible_and_fit_the_screen(chromium: Browser, site: Site, size: ViewportSize) -> None:
    with browsing.signed_in(chromium, site.address, "mia", size) as page:
        for name, address in (("cases", "/cases"), ("case", f"/cases/{CASE}")):
            page.goto(site.address + address)
            browsing.check_in_each_scheme(page, name)


def test_a_person_finds_what_is_overdue_assigns_notes_closes_and_reopens(chromium: Browser, site: Site) -> None:
    with browsing.signed_in(chromium, site.address, "mia", PHONE) as page:
        page.get_by_role("link", name="Cases", exact=True).click()
        expect(page.locator(".lead")).to_contain_text("4 open, 1 overdue")
        first = page.locator("#open .card").first
        expect(first).to_contain_text("Overdue since")
        first.get_by_role("link", name=CASE).click()
        state, history = page.locator(".verdict"), page.locator("#acts")
        expect(state).to_contain_text("Critical")
        expect(state).to_contain_text("Overdue since")
        expect(page.locator("#conversation")).to_contain_text("Please <b>call</b> me.")
        page.get_by_label("Owner").fill("Ben <b>")
        page.get_by_role("button", name="Assign").click()
        expect(state).to_contain_text("Assigned, owner Ben <b>")
        page.get_by_label("Kind").select_option("call")
        page.get_by_label("What was done or said").fill("She waits until Friday")
        page.get_by_role("button", name="Note").click()
        expect(history).to_contain_text("Phone call")
        page.get_by_label("Outcome").select_option("delivered")
        page.get_by_label("How it was settled").fill("It came on Friday")
        page.get_by_role("button", name="Close").click()
        expect(state).to_contain_text("Closed, owner Ben <b>: delivered")
        expect(page.locator(".note")).to_contain_text("will be asked whether it is settled")
        page.get_by_role("button", name="Reopen").click()
        expect(state).to_contain_text("Assigned, owner Ben <b>")
        assert page.url == f"{site.address}/cases/{CASE}"
        for words in ("Overdue", "She waits until Friday", "It came on Friday", "Reopened", "mia", "customer"):
            expect(history).to_contain_text(words)


def test_a_refused_act_says_why_and_keeps_what_was_entered(chromium: Browser, site: Site) -> None:
    with browsing.signed_in(chromium, site.address, "mia", refusals=1) as page:
        page.goto(f"{site.address}/cases/{CASE}")
        page.evaluate("document.querySelectorAll('form').forEach(form => { form.noValidate = true; })")
        page.get_by_label("How it was settled").fill("sent once more")
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_role("alert")).to_contain_text("outcome")
        assert browsing.violations(page) == []
        page.get_by_label("Outcome").select_option("replaced")
        page.get_by_role("button", name="Close").click()
        expect(page.locator("#acts")).to_contain_text("sent once more")


def test_the_page_of_an_order_leads_to_its_case(chromium: Browser, site: Site) -> None:
    with browsing.signed_in(chromium, site.address, "mia") as page:
        page.goto(f"{site.address}/orders/SO-0")
        expect(page.locator("#order")).to_contain_text("open, overdue")
        page.get_by_role("link", name=CASE).click()
        expect(page.locator("#headline")).to_contain_text("asks to be called")


def test_an_auditor_reads_cases_without_words_and_cannot_act(chromium: Browser, site: Site) -> None:
    with browsing.signed_in(chromium, site.address, "auditor") as page:
        page.goto(f"{site.address}/cases/{CASE}")
        expect(page.locator("#acts")).to_contain_text("Overdue")
        assert "call</b>" not in page.content()
        assert page.locator("#conversation").count() == 0
        assert page.get_by_role("button", name="Close").count() == 0


def ask_if_settled(runtime: EmbeddedRunner) -> None:
    """Close the case, let its question come due, and give it a link."""
    acts.perform(services(runtime, Clock(at(days=9))), LOCAL, CASE, "close", {"outcome": "other", "words": "we called"})
    runtime.tick(at(days=9))
    with runtime.engine.begin() as connection:
        asked_now = {"form_token_hash": hashed(LINK), "sent_at": at(days=9), "state": "sent"}
        connection.execute(asks.update().where(asks.c.purpose == "settled").values(asked_now))


@pytest.mark.parametrize("language", ["en", "ar", "ja"])
def test_a_customer_says_whether_it_is_settled(chromium: Browser, site: Site, language: str) -> None:
    ask_if_settled(site.runtime)
    with browsing.served(public_app(services(site.runtime, Clock(at(days=9))))) as address:
        page = chromium.new_page(viewport=PHONE)
        page.goto(f"{address}/f/{LINK}?lang={language}")
        browsing.check(page, f"settled-{language}")
        page.locator("button[type=submit]").click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert browsing.violations(page) == []
        page.locator("label[for=settled-no]").click()
        page.locator("#comment").fill("Box 3 <b>")
        page.locator("button[type=submit]").click()
        expect(page.locator("form")).to_have_count(0)
        browsing.check(page, f"settled-{language}-sent")
        page.close()
    with reading(site.runtime.engine) as connection:
        assert connection.execute(select(cases.c.follow_up).where(cases.c.case_id == CASE)).scalar() == "no"


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_person_sends_a_fixed_response_and_the_customer_writes_back(
    chromium: Browser, site: Site, language: str
) -> None:
    with browsing.signed_in(chromium, site.address, "mia", PHONE) as page:
        page.goto(f"{site.address}/cases/{CASE}")
        page.get_by_label("Fixed response").select_option("on_its_way")
        page.get_by_role("button", name="Send to the customer").click()
        expect(page.locator("#conversation")).to_contain_text("What was missing is on its way.")
        expect(page.get_by_label("Fixed response")).to_have_count(0)
        browsing.check_in_each_scheme(page, f"response-{language}")
    with site.runtime.engine.begin() as connection:
        sent = {"form_token_hash": hashed(LINK), "sent_at": at(hours=20), "state": "sent"}
        connection.execute(asks.update().where(asks.c.purpose == "response").values(sent))
    with browsing.served(public_app(services(site.runtime, Clock(at(days=1))))) as address:
        page = chromium.new_page(viewport=PHONE)
        page.goto(f"{address}/f/{LINK}?lang={language}")
        browsing.check(page, f"written-back-{language}")
        page.locator("button[type=submit]").click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert browsing.violations(page) == []
        page.locator("#comment").fill("Still nothing <b>")
        page.locator("button[type=submit]").click()
        expect(page.locator("form")).to_have_count(0)
        browsing.check(page, f"written-back-{language}-sent")
        page.close()
