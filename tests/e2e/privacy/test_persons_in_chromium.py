"""The page of personal data in a real browser: accessibility, widths, and an erasure by two users."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from pipeline.domain.access.permissions import Role
from pipeline.web.http.server import internal_app
from tests.support.builders import answered, at, completed, contact, scanned
from tests.support.inputs.polyglot import POLYGLOT
from tests.support.requests.installation import Clock, services
from tests.support.requests.users import PASSWORD, START_TOKEN, add_user
from tests.support.running.embedded import embedded, ingest
from tests.support.servers import browsing

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SIZES: dict[str, ViewportSize] = {"phone": {"width": 360, "height": 740}, "desk": {"width": 1440, "height": 900}}


@pytest.fixture
def address(sqlite_database_url: str) -> Iterator[str]:
    runtime = embedded(sqlite_database_url)
    ingest(
        runtime,
        completed("SO-1", contacts=[contact("ana", name=POLYGLOT[:200], email="ana@example.com", extra={"a": ["b"]})]),
        scanned("SO-1", at(hours=1), note="left at the gate"),
        answered("SO-1", at(hours=2), arrival="late", comment=POLYGLOT),
    )
    add_user(runtime.engine, "otto", Role.OPERATIONS)
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    with browsing.served(internal_app(services(runtime, Clock(at(hours=4))), START_TOKEN)) as served:
        yield served
    runtime.engine.dispose()


def sign_in(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}/sign-in?next=/persons")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{address}/persons")


def find(page: Page, who: str) -> None:
    page.get_by_label("Phone number, e-mail address").fill(who)
    page.get_by_role("button", name="Find", exact=True).last.click()
    page.get_by_text("A-1 / ana").first.wait_for()


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_two_users_erase_a_person(chromium: Browser, address: str, size: ViewportSize) -> None:
    first, second = (chromium.new_context(viewport=size).new_page() for _ in range(2))
    sign_in(first, address, "otto")
    browsing.check(first, "persons")
    find(first, "0044 7700 900123")
    browsing.check(first, "persons-found")
    first.get_by_role("button", name="Show everything").click()
    first.get_by_text("ana@example.com").wait_for()
    browsing.check(first, "persons-export")
    first.get_by_role("link", name="Settings").click()
    first.get_by_role("link", name="Personal data").first.click()
    find(first, "A-1/ana")
    first.get_by_role("button", name="Ask for erasure").click()
    first.get_by_text("The erasure is asked for").wait_for()
    browsing.check(first, "persons-asked")
    sign_in(second, address, "mia")
    second.get_by_role("button", name="Erase for good").click()
    second.get_by_text("The person is erased").wait_for()
    browsing.check(second, "persons-erased")
    for page in (first, second):
        page.context.close()
