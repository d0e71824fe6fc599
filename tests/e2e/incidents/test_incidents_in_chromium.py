"""Incidents and alerts in a real browser: accessibility, widths, who sees what, and what people do on the pages."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.web.http.server import internal_app
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.limits import PATIENCE
from tests.support.requests.installation import Clock, services
from tests.support.requests.users import START_TOKEN, add_user
from tests.support.running.embedded import embedded, ingest
from tests.support.servers import browsing
from tests.support.servers.browsing import DESK, PHONE
from tests.support.stored import HISTORIC

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DEPOT = "Lyon <b>" + "n" * 60

expect.set_options(timeout=PATIENCE * 1_000)


class Site(NamedTuple):
    """A served internal listener and its database."""

    address: str
    runtime: EmbeddedRunner


@pytest.fixture
def site(sqlite_database_url: str) -> Iterator[Site]:
    """A depot whose customers contradict its claims: one incident."""
    runtime = embedded(sqlite_database_url)
    for n in range(14):
        deliver_late(runtime, n)
    for name, role in (("mia", Role.MANAGEMENT), ("auditor", Role.AUDITOR), ("ada", Role.ADMIN)):
        add_user(runtime.engine, name, role)
    with browsing.served(internal_app(services(runtime, Clock(at(days=20))), START_TOKEN)) as address:
        yield Site(address, runtime)
    runtime.engine.dispose()


def deliver_late(runtime: EmbeddedRunner, n: int) -> None:
    """Add an order that is claimed on time and was late for its customer."""
    known: dict[str, Any] = {"account": {"id": f"A-{n % 5}"}, "contacts": [contact("ana")]}
    ingest(
        runtime,
        completed(f"SO-{n}", at(days=n), dimensions={"depot": DEPOT, "carrier": f"C{n}"}, **known, **HISTORIC),
        scanned(f"SO-{n}", at(days=n, hours=1)),
        asked(f"SO-{n}", at(days=n, hours=2), account_id=f"A-{n % 5}"),
        answered(f"SO-{n}", at(days=n, hours=3), arrival="late"),
    )


def menu_of(page: Page) -> list[str]:
    return page.get_by_role("navigation", name="Areas").get_by_role("link").all_inner_texts()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_pages_are_accessible_and_fit_the_screen(chromium: Browser, site: Site, size: ViewportSize) -> None:
    with browsing.signed_in(chromium, site.address, "mia", size) as page:
        for name, address in (
            ("today", "/"),
            ("incidents", "/incidents"),
            ("incident", "/incidents/I-1"),
            ("alerts", "/alerts"),
        ):
            page.goto(site.address + address)
            browsing.check_in_each_scheme(page, name)


def test_a_person_acknowledges_assigns_snoozes_closes_and_reopens(chromium: Browser, site: Site) -> None:
    with browsing.signed_in(chromium, site.address, "mia", PHONE) as page:
        page.get_by_role("link", name="Incidents", exact=True).click()
        page.get_by_role("link", name="I-1").click()
        state, history = page.locator(".verdict"), page.locator("#acts")
        page.get_by_role("button", name="Acknowledge").click()
        expect(state).to_contain_text("Acknowledged")
        expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
        page.get_by_label("Owner").fill("Ben <b>")
        page.get_by_role("button", name="Assign").click()
        expect(state).to_contain_text("Assigned, owner Ben <b>")
        page.get_by_label("Days").fill("3")
        page.get_by_label("Reason").fill("waits for the new route")
        page.get_by_role("button", name="Snooze").click()
        expect(state).to_contain_text("Snoozed")
        page.get_by_label("Cause found").select_option("carrier")
        page.get_by_label("What was done").fill("The carrier changes the route")
        page.get_by_role("button", name="Close").click()
        expect(state).to_contain_text("cause: carrier")
        page.get_by_role("button", name="Reopen").click()
        expect(state).to_contain_text("Assigned, owner Ben <b>")
        assert page.url == f"{site.address}/incidents/I-1"
        for words in ("Acknowledged", "waits for the new route", "The carrier changes the route", "Reopened", "mia"):
            expect(history).to_contain_text(words)


def test_an_open_page_follows_the_incident_and_keeps_what_is_being_written(chromium: Browser, site: Site) -> None:
    with (
        browsing.signed_in(chromium, site.address, "mia") as page,
        browsing.signed_in(chromium, site.address, "mia") as other,
    ):
        page.goto(f"{site.address}/incidents/I-1")
        page.get_by_label("What was done").fill("half a sentence")
        deliver_late(site.runtime, 14)
        expect(page.locator("#accounts")).to_contain_text("A-4: 3 of 3")
        assert page.get_by_label("What was done").input_value() == "half a sentence"
        other.goto(f"{site.address}/incidents/I-1")
        other.get_by_role("button", name="Acknowledge").click()
        expect(page.locator(".verdict")).to_contain_text("Acknowledged")
        expect(page.locator("#acts")).to_contain_text("Acknowledged")
        assert page.get_by_label("What was done").input_value() == "half a sentence", "the form waits for its writer"
        expect(page.locator("#live-text")).to_contain_text("a change waits for your form")
        page.get_by_label("What was done").fill("")
        expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)


def test_what_one_reads_stays_where_it_is_when_something_above_grows(chromium: Browser, site: Site) -> None:
    with (
        browsing.signed_in(chromium, site.address, "mia", PHONE) as page,
        browsing.signed_in(chromium, site.address, "mia") as other,
    ):
        page.goto(f"{site.address}/incidents/I-1")
        page.locator("#acts").evaluate("section => section.scrollIntoView()")
        top = page.locator("#acts-title").bounding_box()
        other.goto(f"{site.address}/incidents/I-1")
        other.get_by_role("button", name="Acknowledge").click()
        expect(page.locator("#acts")).to_contain_text("Acknowledged")
        now = page.locator("#acts-title").bounding_box()
        assert top is not None
        assert now is not None
        assert abs(now["y"] - top["y"]) < 2


def test_an_incident_on_paper_has_no_forms_and_its_statistics_are_folded(chromium: Browser, site: Site) -> None:
    with browsing.signed_in(chromium, site.address, "mia") as page:
        page.goto(f"{site.address}/incidents/I-1")
        expect(page.locator("#sure .card")).to_be_hidden()
        page.get_by_text("and what they rest on").click()
        expect(page.locator("#sure .card")).to_be_visible()
        page.emulate_media(media="print")
        expect(page.locator("#act form").first).to_be_hidden()
        expect(page.locator("#trend .trend-wide")).to_be_visible()


def test_a_refused_act_says_why_keeps_what_was_entered_and_is_repeated(chromium: Browser, site: Site) -> None:
    with browsing.signed_in(chromium, site.address, "mia", refusals=1) as page:
        page.goto(f"{site.address}/incidents/I-1")
        page.evaluate("document.querySelectorAll('form').forEach(form => { form.noValidate = true; })")
        page.get_by_label("What was done").fill("the scanner was set wrongly")
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_role("alert")).to_contain_text("cause")
        assert browsing.violations(page) == []
        assert not page.locator("#live").is_visible(), "the address of an act has no page to update from"
        page.get_by_label("Cause found").select_option("data")
        page.get_by_role("button", name="Close").click()
        expect(page.locator("#acts")).to_contain_text("the scanner was set wrongly")


def test_an_act_on_what_has_changed_meanwhile_is_refused_with_the_reason(chromium: Browser, site: Site) -> None:
    with (
        browsing.signed_in(chromium, site.address, "mia", refusals=1) as page,
        browsing.signed_in(chromium, site.address, "mia") as other,
    ):
        page.goto(f"{site.address}/incidents/I-1")
        page.click("#live-button")
        other.goto(f"{site.address}/incidents/I-1")
        other.get_by_label("Cause found").select_option("data")
        other.get_by_label("What was done").fill("the scanner was set wrongly")
        other.get_by_role("button", name="Close").click()
        expect(other.locator(".verdict")).to_contain_text("cause: data")
        page.get_by_role("button", name="Acknowledge").click()
        expect(page.get_by_role("alert")).to_contain_text("closed")
        assert page.get_by_role("button", name="Reopen").is_visible()


@pytest.mark.parametrize(
    ("name", "start", "menu"),
    [
        (
            "mia",
            "/incidents",
            [
                "Today",
                "Dashboard",
                "Incidents",
                "Cases",
                "Inbox",
                "Orders",
                "Segments",
                "Accounts",
                "Verbatims",
                "Report",
                "Settings",
            ],
        ),
        (
            "auditor",
            "/incidents",
            ["Today", "Dashboard", "Incidents", "Cases", "Segments", "Accounts", "Report", "Settings"],
        ),
        ("ada", "/users", ["Settings"]),
    ],
)
def test_the_menu_has_the_pages_of_the_role_and_each_opens(
    chromium: Browser, site: Site, name: str, start: str, menu: list[str]
) -> None:
    with browsing.signed_in(chromium, site.address, name) as page:
        page.goto(site.address + start)
        assert menu_of(page) == menu
        for entry in menu:
            page.get_by_role("navigation", name="Areas").get_by_role("link", name=entry, exact=True).click()
            page.wait_for_load_state()
            assert menu_of(page) == menu, entry
            assert page.get_by_text("Not allowed").count() == 0


def test_who_only_reads_has_no_forms_and_no_links_to_orders(chromium: Browser, site: Site) -> None:
    with browsing.signed_in(chromium, site.address, "auditor") as page:
        page.goto(f"{site.address}/incidents/I-1")
        expect(page.locator("#orders")).to_contain_text("SO-13")
        assert page.locator("main form").count() == 0
        assert page.locator("main a[href^='/orders']").count() == 0
        page.goto(f"{site.address}/dashboard")
        assert page.locator("main a[href^='/orders']").count() == 0
