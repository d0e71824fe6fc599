"""The internal pages in a real browser: layout, accessibility, live updates, and hostile text from customers."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from litestar import Litestar
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, ViewportSize
from sqlalchemy import Engine, select

from pipeline.app.installation import open_installation
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.demo.company import LEVELS as DEMO_LEVELS
from pipeline.demo.company import Company
from pipeline.demo.start import play_demo
from pipeline.domain.access.principal import LOCAL
from pipeline.settings import Settings
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads.answers import verbatims
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.evidence import alerts
from pipeline.web.http import assets
from pipeline.web.http.headers import response_hook
from pipeline.web.http.problems import HANDLERS
from pipeline.web.http.services import Services
from pipeline.web.internal.accounts import pages as account_pages
from pipeline.web.internal.api import read
from pipeline.web.internal.dashboard import dashboard
from pipeline.web.internal.layout import order_address
from pipeline.web.internal.orders import pages as order_pages
from pipeline.web.internal.report import pages as report_pages
from pipeline.web.internal.search import pages as search
from pipeline.web.internal.segments import pages as segment_pages
from pipeline.web.internal.settings import pages as settings_pages
from pipeline.web.internal.today import pages as today
from pipeline.web.internal.verbatims import pages as verbatim_pages
from tests.support.builders import answered, at, completed, contact, scanned
from tests.support.inputs.polyglot import POLYGLOT
from tests.support.requests.installation import Clock, as_local, services
from tests.support.running.embedded import embedded, ingest
from tests.support.servers import browsing
from tests.support.statistics.alert_rows import raise_alert

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 900}
SOON = 3.0  # seconds; the aim is one, of which half is the wait for the next poll; the rest allows for slow machines
POLL = 500  # milliseconds, as in pages.js


class Site(NamedTuple):
    """A served application and its database."""

    address: str
    engine: Engine


def app_of(known: Services) -> Litestar:
    return Litestar(
        [
            *dashboard.routes(known),
            *today.routes(known),
            *report_pages.routes(known),
            *segment_pages.routes(known),
            *order_pages.routes(known),
            *account_pages.routes(known),
            *verbatim_pages.routes(known),
            *search.routes(known),
            *settings_pages.routes(known),
            *read.routes(known),
            *assets.routes(),
        ],
        guards=[as_local],
        before_send=[response_hook("internal")],
        exception_handlers=HANDLERS,
        logging_config=None,
    )


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Twelve days of the simulated company, with an alert of every kind of presentation and unresolved questions."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("company"), segment_levels=DEMO_LEVELS, master_key="00" * 32)
    installation = open_installation(settings, simulated=True)
    play_demo(installation, Company(7), days=12)
    with installation.store.engine.begin() as connection:
        denied = list(
            connection.execute(select(answers.c.order_id).where(answers.c.arrival == "late").limit(8)).scalars()
        )
        kinds: list[dict[str, Any]] = [
            {},
            {"kind": "single_account_dispute", "value": "Wexmoor"},
            {"state": "resolved", "resolved_at": at(days=99)},
        ]
        for number, kind in enumerate(kinds):
            raise_alert(connection, f"a/{number}", **({"value": "Montvray", "proof": {"orders": denied}} | kind))
        clock = clock_of(connection)
        lost = asks.c.order_id.in_(denied)
        connection.execute(asks.update().where(lost).values(state="unresolved", sending_at=clock - timedelta(days=1)))
    runtime = EmbeddedRunner(installation.store, installation.setup, 100)
    known = replace(services(runtime, Clock(at())), setup=installation.setup)
    with browsing.served(app_of(known)) as address:
        yield Site(address, installation.store.engine)
    installation.store.engine.dispose()


@pytest.fixture
def small(sqlite_database_url: str) -> Iterator[tuple[str, EmbeddedRunner]]:
    """A site with one answered order, and its runner."""
    runtime = embedded(sqlite_database_url)
    add_answered_order(runtime, 0, comment="First word")
    with browsing.served(app_of(services(runtime, Clock(at())))) as address:
        yield address, runtime
    runtime.engine.dispose()


def add_answered_order(
    runtime: EmbeddedRunner, number: int, order_id: str = "", depot: str = "Lyon", **answer: Any
) -> None:
    """Add an order that was delivered, asked about and answered."""
    order_id, when, who = order_id or f"SO-{number}", at(hours=number), f"c-{number}"
    people = [contact(who, phone=f"+4477009001{number:02d}")]
    account = {"id": f"A-{number}"}
    ingest(
        runtime,
        completed(order_id, when, account=account, contacts=people, dimensions={"depot": depot, "carrier": "Nordex"}),
        scanned(order_id, when + timedelta(minutes=10)),
        answered(order_id, when + timedelta(minutes=20), who, **({"arrival": "on_time"} | answer)),
    )


@contextmanager
def opened(browser: Browser, size: ViewportSize = DESK, **options: Any) -> Iterator[Page]:
    """A new page. Errors and warnings of the browser fail the test."""
    context = browser.new_context(viewport=size, reduced_motion="reduce", **options)
    page = context.new_page()
    problems: list[str] = []

    def _dialog(dialog: Dialog) -> None:
        problems.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            problems.append(message.text)

    page.on("dialog", _dialog)
    page.on("console", _console)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert problems == []


def busy_order(site: Site) -> str:
    """An order with a comment."""
    with reading(site.engine) as connection:
        return verbatims(connection, LOCAL, 1)[0].order_id


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_dashboard_and_order_are_accessible_and_fit_the_screen(
    chromium: Browser, company: Site, size: ViewportSize
) -> None:
    for name, address in (
        ("today", "/"),
        ("report", "/report"),
        ("dashboard", "/dashboard"),
        ("segments", "/segments"),
        ("segment", "/segment?segment=depot:Montvray&unit=week"),
        ("order", order_address(busy_order(company))),
        ("orders", "/orders"),
        ("orders-filtered", "/orders?verdict=embellished&code=late&to=2026-12-31"),
        ("accounts", "/accounts?period=all"),
        ("account", "/accounts/one?account=A-001&period=all"),
        ("verbatims", "/verbatims"),
        ("search", "/search?q=o"),
        ("settings", "/settings"),
        ("carriers", "/dashboard?by=carrier&from=2026-06-05"),
    ):
        with opened(chromium, size) as page:
            page.goto(company.address + address)
            browsing.check_in_each_scheme(page, name)


def test_the_not_found_page_is_accessible(chromium: Browser, company: Site) -> None:
    context = chromium.new_context(viewport=PHONE)
    page = context.new_page()
    found = page.goto(company.address + "/orders/nobody")
    assert found is not None
    assert found.status == 404
    assert browsing.violations(page) == []
    context.close()


def test_the_smallest_text_of_the_chart_is_legible_on_a_phone(chromium: Browser, company: Site) -> None:
    with opened(chromium, PHONE) as page:
        page.goto(company.address + "/dashboard")
        height = page.evaluate(
            "Math.min(...[...document.querySelectorAll('.tick')].map(t => t.getBoundingClientRect().height))"
        )
        assert height >= 9
        assert page.locator(".strip .experienced").first.bounding_box() is not None


def test_a_person_reaches_an_order_from_the_dashboard_by_keyboard_alone(chromium: Browser, company: Site) -> None:
    with opened(chromium) as page:
        page.goto(company.address + "/dashboard")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.focus("#words a")
        page.keyboard.press("Enter")
        page.wait_for_url("**/orders/*")
        assert page.locator(".timeline .entry").count() > 3
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "q"
        page.keyboard.type("SO-000")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search?q=SO-000")
        assert page.locator("#orders a").count() > 3


def test_without_scripts_the_page_is_complete(chromium: Browser, company: Site) -> None:
    with opened(chromium, java_script_enabled=False) as page:
        page.goto(company.address + "/dashboard")
        assert page.locator(".segments tbody tr").count() >= 10
        assert not page.locator("#live").is_visible()
        page.select_option("#by", "carrier")
        page.click("#choose button")
        page.wait_for_url("**by=carrier*")
        assert "by carrier" in page.inner_text("#segments-title")


def test_an_answer_is_on_the_page_within_a_second_without_loading_it_again(
    chromium: Browser, small: tuple[str, EmbeddedRunner]
) -> None:
    address, runtime = small
    with opened(chromium) as page:
        page.clock.install()
        page.goto(address + "/dashboard")
        page.evaluate("window.stays = true")
        page.focus("#words a")
        page.wait_for_function("document.getElementById('live-text').textContent === 'Live'")
        add_answered_order(runtime, 1, comment="Second word")
        started = time.monotonic()
        page.get_by_text("Second word").wait_for()
        seconds = time.monotonic() - started
        assert seconds < SOON
        assert page.evaluate("window.stays")
        assert page.evaluate("document.activeElement.closest('section').id") == "words"  # the focus stays there
        page.click("#live-button")
        questions: list[str] = []
        page.on("request", lambda request: questions.append(request.url))
        add_answered_order(runtime, 2, comment="Third word")
        page.clock.run_for(20 * POLL)
        assert questions == []  # paused
        page.click("#live-button")
        page.get_by_text("Third word").wait_for()


def test_an_order_page_follows_its_order(chromium: Browser, small: tuple[str, EmbeddedRunner]) -> None:
    address, runtime = small
    with opened(chromium) as page:
        page.goto(f"{address}/orders/SO-0")
        ingest(
            runtime, answered("SO-0", at(hours=5), "c-0", event_id="amended", arrival="late", comment="No, it was late")
        )
        page.locator(".timeline").get_by_text("No, it was late").wait_for()
        assert "Embellished" in page.inner_text(".verdict")


def test_an_order_page_keeps_its_parts_when_one_appears_or_goes(
    chromium: Browser, small: tuple[str, EmbeddedRunner]
) -> None:
    address, runtime = small

    def _parts(page: Page) -> list[str]:
        return page.evaluate("[...document.querySelectorAll('main section[id]')].map(section => section.id)")  # type: ignore[no-any-return]

    def _changed(number: int) -> None:
        ingest(runtime, answered("SO-0", at(hours=5 + number), "c-0", event_id=f"{number}", arrival="late"))

    ingest(runtime, answered("SO-0", at(hours=5), "c-0", event_id="amended", arrival="late"))
    with opened(chromium) as page:
        page.goto(f"{address}/orders/SO-0")
        with runtime.store.engine.begin() as connection:
            raise_alert(connection, "a/new", proof={"orders": ["SO-0"]})
        _changed(1)
        page.locator("#alerts").wait_for()
        assert _parts(page) == ["order", "alerts", "timeline"]
        assert page.inner_text("#headline") == "SO-0"
        assert page.locator(".verdict").is_visible()
        page.click("#alerts summary")
        with runtime.store.engine.begin() as connection:
            raise_alert(connection, "a/newer", proof={"orders": ["SO-0"]})
        _changed(2)
        page.locator("#alerts .card").nth(1).wait_for()
        assert page.locator("#alerts details[open]").count() == 1
        with runtime.store.engine.begin() as connection:
            connection.execute(alerts.delete())
        _changed(3)
        page.locator("#alerts").wait_for(state="detached")
        assert _parts(page) == ["order", "timeline"]
        assert page.inner_text("#headline") == "SO-0"


def test_texts_of_customers_are_never_executed(chromium: Browser, small: tuple[str, EmbeddedRunner]) -> None:
    address, runtime = small
    add_answered_order(
        runtime, 1, order_id=POLYGLOT, comment=POLYGLOT + "<script>window.ran = true</script>", arrival="late"
    )
    for path in ("/dashboard", order_address(POLYGLOT)):
        with opened(chromium) as page:  # a dialog or a blocked script would be a problem
            page.goto(address + path)
            assert "onerror=alert(1)" in page.inner_text("main")
            assert page.evaluate("window.ran") is None
            assert page.locator("main img").count() == 0
            page.goto("about:blank")
            page.goto(address + path)
            later_comment = "Written while the page was open"
            ingest(runtime, answered("SO-0", at(hours=9 + len(path)), "c-0", comment=later_comment + POLYGLOT))
            if path == "/dashboard":
                page.get_by_text(later_comment).first.wait_for()  # inserted by the script
            assert page.evaluate("window.ran") is None


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_long_names_do_not_widen_the_page(
    chromium: Browser, small: tuple[str, EmbeddedRunner], size: ViewportSize
) -> None:
    address, runtime = small
    add_answered_order(runtime, 1, order_id="N" * 150, depot="W" * 200, comment="Donaudampfschifffahrt" * 20)
    for path in ("/dashboard", "/orders/" + "N" * 150):
        with opened(chromium, size) as page:
            page.goto(address + path)
            page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_a_printed_page_has_its_figures_and_no_controls(chromium: Browser, company: Site) -> None:
    with opened(chromium) as page:
        page.goto(company.address + "/dashboard")
        page.emulate_media(media="print")
        assert not page.locator(".find").is_visible()
        assert not page.locator("#choose").is_visible()
        assert page.locator(".strip .experienced").first.is_visible()


def test_the_report_is_one_printed_page_in_black_and_white(chromium: Browser, company: Site) -> None:
    with opened(chromium) as page:
        page.goto(company.address + "/report?unit=month&of=2026-06-05")
        pages = re.findall(rb"/Type\s*/Page[^s]", page.pdf(prefer_css_page_size=True))
        assert len(pages) == 1
        page.emulate_media(media="print")
        assert page.locator("#trend .trend-wide").is_visible()
        assert page.locator("#words q").count() > 0
        colours = page.evaluate(
            "[...document.querySelectorAll('.trend-wide .claimed, .trend-wide .experienced')]"
            ".map(line => getComputedStyle(line).stroke)"
        )
        assert set(colours) == {"rgb(0, 0, 0)"}
