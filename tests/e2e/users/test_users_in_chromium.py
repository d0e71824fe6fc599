"""Sign-in, account, users and acts in a real browser: accessibility, widths, and what a person does there."""

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page, ViewportSize
from pyotp.totp import TOTP

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.web.http.server import internal_app
from tests.support.builders import answered, at, completed, contact, scanned
from tests.support.inputs.polyglot import POLYGLOT
from tests.support.requests.installation import Clock, services
from tests.support.requests.users import PASSWORD, START_TOKEN, add_user
from tests.support.running.embedded import embedded, ingest
from tests.support.servers import browsing

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1440, "height": 900}


class Site(NamedTuple):
    """A served internal listener, its database and its clock."""

    address: str
    runtime: EmbeddedRunner
    clock: Clock


@pytest.fixture
def site(sqlite_database_url: str) -> Iterator[Site]:
    runtime, clock = embedded(sqlite_database_url), Clock(at(hours=4))
    ingest(
        runtime,
        completed("SO-1", contacts=[contact("ana", name="Ana")]),
        scanned("SO-1", at(hours=1)),
        answered("SO-1", at(hours=2), arrival="late", comment="it came on Tuesday"),
    )
    add_user(runtime.engine, "ada", Role.ADMIN)
    add_user(runtime.engine, "auditor", Role.AUDITOR)
    add_user(runtime.engine, "rolf", Role.OPERATIONS, "depot=Lyon", "depot=Saint-Étienne-du-Rouvray")
    add_user(runtime.engine, POLYGLOT[:60].replace("\u202e", ""), Role.MANAGEMENT)
    provider = {"oidc_issuer": "https://id.example.com", "oidc_client_id": "x", "oidc_roles": {"boss": "management"}}
    known = services(runtime, clock, **provider)
    with browsing.served(internal_app(known, START_TOKEN)) as address:
        yield Site(address, runtime, clock)
    runtime.engine.dispose()


def sign_in(page: Page, address: str, name: str, code: str = "") -> None:
    page.goto(f"{address}/sign-in" if "sign-in" not in page.url else page.url)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Code of your second factor").fill(code)
    page.get_by_role("button", name="Sign in", exact=True).click()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_pages_of_users_are_accessible_and_fit_the_screen(
    chromium: Browser, site: Site, size: ViewportSize
) -> None:
    page = chromium.new_context(viewport=size, reduced_motion="reduce").new_page()
    page.goto(f"{site.address}/sign-in")
    browsing.check_in_each_scheme(page, "sign-in")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    browsing.check_in_each_scheme(page, "sign-in-failed")
    sign_in(page, site.address, "ada")
    assert page.url == f"{site.address}/users", "an admin has no dashboard"
    page.get_by_label("Name").fill("mia")
    page.get_by_role("button", name="Invite").click()
    link = page.get_by_label("Invitation link").input_value()
    browsing.check_in_each_scheme(page, "users")
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("link", name="Your account").click()
    browsing.check_in_each_scheme(page, "account")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.goto(link)
    assert page.url == f"{site.address}/welcome", "the key is no longer in the address"
    browsing.check_in_each_scheme(page, "welcome")
    page.goto(link)
    browsing.check_in_each_scheme(page, "no-invitation")
    sign_in(page, site.address, "auditor")
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("link", name="Acts").click()
    assert "it came on Tuesday" not in page.content()
    browsing.check_in_each_scheme(page, "acts")
    page.goto(f"{site.address}/users")
    browsing.check_in_each_scheme(page, "forbidden")
    page.context.close()


def test_a_person_accepts_an_invitation_and_adds_a_second_factor(chromium: Browser, site: Site) -> None:
    page = chromium.new_context(viewport=PHONE).new_page()
    sign_in(page, site.address, "rolf")
    page.wait_for_url(f"{site.address}/")
    assert page.get_by_role("heading", name="Today").is_visible()
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("link", name="Your account").click()
    page.locator("#factor-password").fill(PASSWORD)
    page.get_by_role("button", name="Add a second factor").click()
    secret = page.locator("code.secret").inner_text()
    browsing.check_in_each_scheme(page, "second-factor")
    page.get_by_label("Code that the app shows").fill(TOTP(secret).at(site.clock.moment))
    page.locator("#factor-password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    assert "signing in needs a code" in page.content()
    page.get_by_role("button", name="Sign out everywhere").click()
    site.clock.moment += timedelta(minutes=5)
    sign_in(page, site.address, "rolf")
    assert "Name, password or code is wrong" in page.content()
    sign_in(page, site.address, "rolf", TOTP(secret).at(site.clock.moment))
    page.wait_for_url(f"{site.address}/")
    page.context.close()


def test_a_link_opened_before_signing_in_is_where_one_lands(chromium: Browser, site: Site) -> None:
    page = chromium.new_context(viewport=DESK).new_page()
    page.goto(f"{site.address}/orders/SO-1")
    sign_in(page, site.address, "rolf")
    page.wait_for_url(f"{site.address}/orders/SO-1")
    assert "it came on Tuesday" in page.content()
    page.goto(f"{site.address}/orders/SO-1?nothing")
    page.context.clear_cookies()
    page.goto(f"{site.address}/")
    assert page.url.startswith(f"{site.address}/sign-in")
    page.context.close()
