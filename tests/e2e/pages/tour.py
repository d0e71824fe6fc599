"""Opens every page of the demo company in a real browser and looks at it: `make bench WHAT=tour ARGS=FOLDER`.

Saves a picture of each at 1440 and 360 pixels, light, dark and as printed; runs the accessibility checker and
Lighthouse; goes through it with the Tab key alone. Prints a table. Exit code 1: a finding, or a score under 95.
"""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from playwright.sync_api import Browser, Page, ViewportSize
from rich.console import Console
from rich.table import Table

from pipeline.web.internal.areas import AREAS, SETTINGS
from tests.support.running.process import TOKEN, Up, environment
from tests.support.servers.browsing import chromium, sign_in_with_token, violations
from tests.support.servers.lighthouse import CATEGORIES, lighthouse

LEAST = 95
_STOPS = 80  # elements that the Tab key is pressed for on one page
# The first of each list is opened, too: the list (or the name of a page before), and how the address of one begins.
_DETAILS = {
    "Incident": ("/incidents", "/incidents/"),
    "Case": ("/cases", "/cases/"),
    "Reply": ("/inbox", "/inbox/"),
    "Order": ("/orders", "/orders/"),
    "Segment": ("/segments", "/segment?"),
    "Account": ("/accounts", "/accounts/one?"),
    "Scorecard": ("account", "/accounts/scorecard?"),
}
_SIZES = {"1440": ViewportSize(width=1440, height=900), "360": ViewportSize(width=360, height=740)}
_FOCUSABLE = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
_REACHABLE = (
    "selector => [...document.querySelectorAll(selector)].filter(one => one.checkVisibility() && !one.disabled).length"
)
# An element with the focus must be seen to have it.
_FOCUS = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one);
  one.dataset.stop ??= String(document.querySelectorAll("[data-stop]").length);
  const seen = style.outlineStyle !== "none" || style.boxShadow !== "none";
  return [one.dataset.stop, seen ? "" : one.outerHTML.slice(0, 120)];
}"""


class Seen(NamedTuple):
    """What was found on one page."""

    name: str
    scores: dict[str, int]
    findings: list[str]


def tour(up: Up, folder: Path) -> Iterator[Seen]:
    """Visit every page of a running installation. Pictures go to `folder`."""
    address = f"http://127.0.0.1:{up.internal}"
    with chromium() as browser:
        for name, path in _addresses(browser, address).items():
            findings = [
                finding
                for size in _SIZES
                for scheme in ("light", "dark")
                for finding in _look(browser, address, path, folder / f"{name}-{size}-{scheme}.png", size, scheme)
            ]
            judged = lighthouse(f"{address}{path}", TOKEN)
            low = [f"Lighthouse: {failed}" for failed in judged.failed] if min(judged.scores.values()) < LEAST else []
            yield Seen(name, judged.scores, [*dict.fromkeys(findings), *low])


def _addresses(browser: Browser, address: str) -> dict[str, str]:
    """The pages by name: the areas, and the first page behind each list."""
    page = browser.new_page()
    sign_in_with_token(page, address, TOKEN)
    found = {re.sub(r"\W+", "-", area.name.lower()): area.path for area in (*AREAS, *SETTINGS)}
    for name, (listed, beginning) in _DETAILS.items():
        page.goto(f"{address}{found.get(listed, listed)}")
        link = page.locator(f"main a[href^='{beginning}']").first
        if link.count():
            found[name.lower()] = str(link.get_attribute("href"))
    page.context.close()
    return found


def _look(browser: Browser, address: str, path: str, picture: Path, size: str, scheme: str) -> list[str]:
    with browser.new_context(viewport=_SIZES[size], color_scheme="dark" if scheme == "dark" else "light") as context:
        page = context.new_page()
        sign_in_with_token(page, address, TOKEN, path)
        page.screenshot(path=picture, full_page=True)
        findings = [f"{size} {scheme}: {one}" for one in violations(page)]
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            findings.append(f"{size}: wider than the screen")
        if (size, scheme) == ("1440", "light"):
            findings += _by_keyboard(page)
            page.emulate_media(media="print")
            page.screenshot(path=picture.with_stem(f"{picture.stem}-print"), full_page=True)
    return findings


def _by_keyboard(page: Page) -> list[str]:
    """Reach every element with the Tab key; each shows that it has the focus."""
    wanted = min(page.evaluate(_REACHABLE, _FOCUSABLE), _STOPS)
    page.evaluate("document.activeElement.blur()")
    stops: dict[str, str] = {}
    for _ in range(3 * wanted):  # a date has several stops of its own
        if len(stops) == wanted:
            break
        page.keyboard.press("Tab")
        found = page.evaluate(_FOCUS)
        if found is not None:
            stops[found[0]] = found[1]
    invisible = [f"no visible focus: {html}" for html in stops.values() if html]
    return invisible + ([f"the Tab key reaches {len(stops)} of {wanted} elements"] if len(stops) < wanted else [])


def main(folder: Path) -> int:
    """Start the demo, visit its pages, print what was found. Returns the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    table = Table("page", *CATEGORIES, "findings", title="pages")
    wrong = 0
    with TemporaryDirectory() as name:
        past = [sys.executable, "-m", "pipeline", "demo", "--no-live"]
        subprocess.run(past, env=environment(Path(name)), stdout=subprocess.DEVNULL, check=True)
        up = Up(Path(name), "demo")
        try:
            for seen in tour(up, folder):
                wrong += bool(seen.findings) or min(seen.scores.values()) < LEAST
                table.add_row(seen.name, *(str(seen.scores[one]) for one in CATEGORIES), "\n".join(seen.findings))
                print(f"{seen.name}: {seen.scores}", *seen.findings, sep="\n  ", flush=True)
        finally:
            up.end(signal.SIGTERM)
    Console().print(table)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
