"""A real browser on real pages: Debian's Chromium, a server on a free port, and the accessibility checker."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import uvicorn
from litestar import Litestar
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    ViewportSize,
    sync_playwright,
)

from tests.support.limits import PATIENCE
from tests.support.paths import ROOT
from tests.support.requests.users import PASSWORD
from tests.support.servers.npm import installed, unavailable

PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1440, "height": 900}
_HERE = ROOT / "tests" / "e2e"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTRASTS = {"type": "rule", "values": ["color-contrast"]}  # all that a colour scheme can change
_SCHEMES: tuple[tuple[Literal["light", "dark"], Any], ...] = (("light", _RULES), ("dark", CONTRASTS))
PICTURES = os.environ.get("UNVARNISHED_PICTURES")  # the folder of the pictures; without one none is taken


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium; without a sandbox, because tests may run as root in a container."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        unavailable("no Chromium on this machine: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        _wait_patiently(browser)
        yield browser
        browser.close()


def _wait_patiently(browser: Browser) -> None:
    """Set the limit of every wait in pages of the browser."""
    new_context = browser.new_context

    def _new_context(**options: Any) -> BrowserContext:
        context = new_context(**options)
        context.set_default_timeout(PATIENCE * 1_000)
        return context

    browser.new_context = _new_context  # type: ignore[method-assign]


@contextmanager
def served(app: Litestar) -> Iterator[str]:
    """The application on a free port of this machine; yields its address."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="on", ws="none", timeout_graceful_shutdown=2)
    started, server = threading.Event(), uvicorn.Server(config)
    run_main_loop = server.main_loop

    async def _main_loop() -> None:
        started.set()
        await run_main_loop()

    server.main_loop = _main_loop  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(PATIENCE), "the server did not start"
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@contextmanager
def signed_in(
    browser: Browser, address: str, name: str, size: ViewportSize = DESK, refusals: int = 0, **options: Any
) -> Iterator[Page]:
    """A page of a user. Errors and warnings of the browser fail the test, except for `refusals` requests refused."""
    context = browser.new_context(viewport=size, reduced_motion="reduce", **options)
    page = context.new_page()
    problems: list[str] = []

    def _console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            problems.append(message.text)

    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{address}/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "sign-in" not in url)
    page.on("console", _console)
    yield page
    context.close()
    assert len(problems) == refusals, problems


def sign_in_with_token(page: Page, address: str, token: str, following: str = "/") -> None:
    """Sign in with the start token, in the form of the page, and continue with the page `following`."""
    page.goto(f"{address}/sign-in?{urlencode({'next': following})}")
    page.click("summary")
    page.fill("#token", token)
    page.get_by_role("button", name="Sign in with the token").click()
    page.wait_for_url(f"{address}{following}")


def check(page: Page, name: str, rules: Any = None) -> None:
    """The page is accessible and does not scroll sideways. Takes a picture of it, if a folder for pictures is named."""
    found, size = violations(page, rules), page.viewport_size
    assert found == [], (name, found)
    assert size is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], f"{name} scrolls sideways"
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}-{size['width']}.png", full_page=True)


def check_in_each_scheme(page: Page, name: str) -> None:
    """The same in the light and in the dark colour scheme, with everything unfolded."""
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    for scheme, rules in _SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # without transitions between their colours
        check(page, f"{name}-{scheme}", rules)


def violations(page: Page, rules: Any = None) -> list[str]:
    """The findings of the accessibility checker on the current state of a page, one line each.

    `rules`: those of the checker that are applied; without them all of WCAG 2.2 AA and its best practices. A click may
    still be leading to another page: then that one is checked.
    """
    try:
        return _violations(page, rules or _RULES)
    except Error:  # the document was replaced while it was read
        page.wait_for_load_state()
        return _violations(page, rules or _RULES)


def _violations(page: Page, rules: Any) -> list[str]:
    page.evaluate(_axe())
    found: list[dict[str, Any]] = page.evaluate(
        "rules => axe.run(document, {runOnly: rules}).then(found => found.violations)", rules
    )
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {json.dumps([node['html'][:160] for node in one['nodes'][:3]])}"
        for one in found
    ]


@lru_cache
def _axe() -> str:
    """The checker's source, installed from its lock file the first time."""
    return (installed(_HERE) / "axe-core" / "axe.min.js").read_text()
