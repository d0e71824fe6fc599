"""The whole path in a real browser on a real `unvarnished up`: an event arrives by HTTP, the phone shows a question,
the form is answered, the dashboard changes."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, ViewportSize

from pipeline.app.installation import open_database
from pipeline.app.maintenance import create_key
from pipeline.settings import Settings
from tests.support.builders import completed, contact, scanned
from tests.support.running.process import TOKEN, Up
from tests.support.servers import browsing

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SMALL: ViewportSize = {"width": 360, "height": 740}
WIDE: ViewportSize = {"width": 1280, "height": 900}


@pytest.fixture
def up(tmp_path: Path) -> Iterator[tuple[Up, str]]:
    """A running installation without quiet hours, and an API key."""
    engine = open_database(Settings(data_dir=tmp_path))
    key = create_key(engine, "erp", history=False)
    engine.dispose()
    running = Up(tmp_path, "up", QUIET_HOURS="00:00-00:00", SKIP_HOLIDAYS="false")
    yield running, key
    assert running.end(signal.SIGTERM) == 0


def deliver(up: Up, key: str, order_id: str) -> None:
    """An order that was on time by the record."""
    now = datetime.now(UTC)
    person = [contact(f"ana-{order_id}", name=f"Ana of {order_id}", phone=f"+4477009001{order_id[-2:]}")]
    promised = (now - timedelta(hours=1)).isoformat()
    order = completed(order_id, now, account={"id": order_id}, contacts=person, promised_at=promised)
    for event in (order, scanned(order_id, now - timedelta(hours=2))):
        assert up.post(key, event)[0] == 202


def test_an_event_becomes_a_question_and_its_answer_a_figure(up: tuple[Up, str]) -> None:
    running, key = up
    home = f"http://127.0.0.1:{running.internal}"
    with browsing.chromium() as browser:
        for number, size in enumerate((SMALL, WIDE), 1):
            with browser.new_context(viewport=size) as context:
                dashboard = context.new_page()
                browsing.sign_in_with_token(dashboard, home, TOKEN)
                dashboard.goto(f"{home}/dashboard")
                phones = context.new_page()
                phones.goto(f"{home}/phone")
                deliver(running, key, f"SO-0{number}")
                form = opened(context, phones, f"Ana of SO-0{number}")
                browsing.check(phones, "rings")
                browsing.check(form, "asked")
                form.locator("label", has=form.locator("[name=arrival][value=late]")).click()
                form.get_by_role("textbox").fill(f"Not on time, number {number}")
                form.get_by_role("button", name="Send answer").click()
                form.get_by_role("heading", level=1).get_by_text("recorded").wait_for()
                dashboard.get_by_text(f"Not on time, number {number}").wait_for()
                assert f"{number} of 10 answers" in dashboard.inner_text("h1")
                browsing.check(dashboard, "known")


def opened(context: BrowserContext, phones: Page, name: str) -> Page:
    """The form behind the link on this contact's phone, which has to appear without a reload."""
    link = phones.locator("section.phone", has_text=name).get_by_role("link")
    with context.expect_page() as found:
        link.click()
    found.value.wait_for_load_state()
    return found.value
