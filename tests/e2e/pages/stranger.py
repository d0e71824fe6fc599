"""A stranger in front of the demo: which depot embellishes, since when, how, and what to do about it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page

from pipeline.app.installation import open_installation
from pipeline.demo.company import LEVELS, Company
from pipeline.demo.start import play_demo
from pipeline.settings import Settings
from pipeline.web.http.server import internal_app
from tests.support.builders import at
from tests.support.requests.installation import Clock, services
from tests.support.requests.users import START_TOKEN
from tests.support.servers.browsing import served, sign_in_with_token

DAYS, SEED = 60, 7  # the three depots begin after a month


class Found(NamedTuple):
    """What the stranger has read: of each depot since when, how, and who has taken it."""

    since: dict[str, str]
    how: dict[str, str]
    sentence: str
    owner: str


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """The address of the internal pages of the simulated company, after its days."""
    settings = Settings(data_dir=folder, segment_levels=LEVELS, master_key="00" * 32)
    installation = open_installation(settings, simulated=True)
    play_demo(installation, Company(SEED), DAYS)
    known = replace(services(installation.runner, Clock(at(days=DAYS + 1))), setup=installation.setup)
    with served(internal_app(known, START_TOKEN)) as address:
        yield address
    installation.store.engine.dispose()


def walk(page: Page, address: str, picture: Callable[[Page, str], None] = lambda page, name: None) -> Found:
    """Four pages: Today, one of its incidents, the same one taken, and the report. `picture` sees each."""
    sign_in_with_token(page, address, START_TOKEN)
    picture(page, "1-today")
    lines = page.locator("main tbody tr")
    since = {
        line.locator("a").first.inner_text(): line.inner_text().partition("since ")[2].partition(",")[0]
        for line in lines.all()
    }
    lines.filter(has_text="moved promises").locator("a").first.click()
    sentence = page.locator(".lead").inner_text()
    picture(page, "2-incident")
    page.get_by_label("Owner").fill("anna")
    page.get_by_role("button", name="Assign").click()
    owner = page.locator(".verdict").inner_text()
    page.get_by_role("link", name="Report", exact=True).click()
    page.locator("#embellish").scroll_into_view_if_needed()
    how = {line.split()[1]: line for line in page.locator("#embellish li").all_inner_texts()}
    picture(page, "3-report")
    return Found(since, how, sentence, owner)
