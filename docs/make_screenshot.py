"""Makes docs/dashboard.png from the simulated company: `python docs/make_screenshot.py`.

Needs Chromium and the development environment. The same days give the same picture: it changes only with the page or
with the fonts of the machine.
"""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline.app.installation import open_installation  # noqa: E402
from pipeline.demo.company import LEVELS, Company  # noqa: E402
from pipeline.demo.start import play_demo  # noqa: E402
from pipeline.settings import Settings  # noqa: E402
from tests.e2e.test_pages_in_chromium import app_of  # noqa: E402
from tests.support.builders import at  # noqa: E402
from tests.support.requests.installation import Clock, services  # noqa: E402
from tests.support.servers import browsing  # noqa: E402

DAYS, SEED = 60, 7  # enough for the first alerts
WIDTH, HEIGHT = 1280, 1400
MAX_BYTES = 300 * 1024


def main() -> None:
    """Simulate the company, serve the dashboard, and save a screenshot of it."""
    target = ROOT / "docs" / "dashboard.png"
    with TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), segment_levels=LEVELS, master_key="00" * 32)
        installation = open_installation(settings, simulated=True)
        play_demo(installation, Company(SEED), DAYS)
        known = replace(services(installation.runner, Clock(at())), setup=installation.setup)
        with browsing.served(app_of(known)) as address, browsing.chromium() as browser:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.goto(f"{address}/dashboard")
            page.locator(".segments").wait_for()
            page.screenshot(path=target)
        installation.store.engine.dispose()
    # 128 colours are enough for a page without gradients, and take a third of the bytes.
    Image.open(target).convert("RGB").quantize(128).save(target, optimize=True)
    size = target.stat().st_size
    if size > MAX_BYTES:
        raise SystemExit(f"{target} has {size:,} bytes, more than {MAX_BYTES:,}")
    print(f"{target}: {size:,} bytes")


if __name__ == "__main__":
    main()
