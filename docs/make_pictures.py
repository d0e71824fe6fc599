"""Makes the pictures of the pages in docs/ from the simulated company: `python docs/make_pictures.py`.

Needs Chromium and the development environment. The same days give the same picture: it changes only with the page or
with the fonts of the machine.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, ViewportSize

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.e2e.pages.stranger import demo, walk  # noqa: E402
from tests.support.servers import browsing  # noqa: E402

SIZE = ViewportSize(width=1280, height=1000)
MAX_BYTES = 300 * 1024


def main() -> None:
    """Play the demo, walk through its pages, and save a picture of each; and one of the dashboard."""
    with TemporaryDirectory() as folder, demo(Path(folder)) as address, browsing.chromium() as browser:
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        walk(page, address, lambda page, name: _save(page, f"walk-{name}"))
        page.set_viewport_size(ViewportSize(width=1280, height=1400))
        page.goto(f"{address}/dashboard")
        page.locator(".segments").wait_for()
        _save(page, "dashboard")


def _save(page: Page, name: str) -> None:
    target = ROOT / "docs" / f"{name}.png"
    page.screenshot(path=target)
    # 128 colours are enough for a page without gradients, and take a third of the bytes.
    Image.open(target).convert("RGB").quantize(128).save(target, optimize=True)
    size = target.stat().st_size
    if size > MAX_BYTES:
        raise SystemExit(f"{target} has {size:,} bytes, more than {MAX_BYTES:,}")
    print(f"{target}: {size:,} bytes")


if __name__ == "__main__":
    main()
