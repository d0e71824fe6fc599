"""The inbox in a real browser: accessible, within the screen, and decided by its forms without a script."""

import pytest
from playwright.sync_api import Dialog, ViewportSize

from pipeline.store.schema.inbox import inbox
from pipeline.web.http.server import internal_app
from tests.support.builders import answered, at
from tests.support.inputs.polyglot import POLYGLOT
from tests.support.requests import installation
from tests.support.requests.installation import Clock, services
from tests.support.running.embedded import embedded, ingest
from tests.support.servers import browsing
from tests.support.stored import rows

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TOKEN = "a sign-in token of tests"
PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 900}


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_a_person_reads_the_inbox_and_decides(sqlite_database_url: str, size: ViewportSize) -> None:
    runtime = embedded(sqlite_database_url)
    for n, words in enumerate(("Well, it was like last time", f"توقعت ذلك {POLYGLOT}"), 1):
        installation.sent(runtime, f"SO-{n}", f"{n}" * 22)
        ingest(runtime, answered(f"SO-{n}", at(hours=3 + n), comment=words, channel="form"))
    with (
        browsing.served(internal_app(services(runtime, Clock(at(days=1))), TOKEN)) as address,
        browsing.chromium() as browser,
    ):
        context = browser.new_context(viewport=size, java_script_enabled=True)
        page = context.new_page()
        dialogs: list[str] = []

        def _dialog(dialog: Dialog) -> None:
            dialogs.append(dialog.message)
            dialog.dismiss()

        page.on("dialog", _dialog)
        browsing.sign_in_with_token(page, address, TOKEN, "/inbox")
        for name in ("inbox", "reply"):
            browsing.check_in_each_scheme(page, name)
            if name == "inbox":
                page.click(".card-title a")
        page.check("input[name=arrival][value=late]")
        page.click("button[value=correct]")
        page.wait_for_url("**/inbox")
        assert "second person" in page.inner_text("main")
        assert dialogs == []
        context.close()
    assert sorted(row["proposed_by"] or "" for row in rows(runtime, inbox)) == ["", "sign-in token"]
    runtime.engine.dispose()
