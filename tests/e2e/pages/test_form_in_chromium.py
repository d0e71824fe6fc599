"""The customer's form and the phone page in a real browser, by keyboard, on a small screen."""

from collections.abc import Iterator
from typing import Literal

import pytest
from litestar import Litestar
from playwright.sync_api import Browser, Page, ViewportSize

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.notifiers.wording import questions
from pipeline.notifiers.wording.languages import is_right_to_left, languages, translations
from pipeline.store.asks import phone_messages as phones
from pipeline.store.schema.answers import answers
from pipeline.web.http import assets
from pipeline.web.http.headers import response_hook
from pipeline.web.http.problems import HANDLERS
from pipeline.web.internal.demo_phone import phone
from pipeline.web.public.form import form
from tests.support.builders import at
from tests.support.requests import installation
from tests.support.requests.installation import PHONE, TOKEN, Ticking
from tests.support.running.embedded import VAULT, embedded
from tests.support.servers import browsing
from tests.support.stored import rows

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SMALL: ViewportSize = {"width": 360, "height": 740}
WIDE: ViewportSize = {"width": 1280, "height": 900}
Scheme = Literal["light", "dark"]


@pytest.fixture
def runtime(sqlite_database_url: str) -> Iterator[EmbeddedRunner]:
    made = embedded(sqlite_database_url)
    yield made
    made.engine.dispose()


@pytest.fixture
def address(runtime: EmbeddedRunner) -> Iterator[str]:
    """The routes on a real socket, with the headers of the listeners."""
    services = installation.services(runtime, Ticking(at(hours=3)), public_url="http://ask.example.com")
    app = Litestar(
        [*form.routes(services), *phone.routes(services), *assets.routes()],
        guards=[installation.as_local],
        before_send=[response_hook("public")],
        exception_handlers=HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    with browsing.served(app) as made:
        yield made


@pytest.fixture(params=[SMALL, WIDE], ids=["360px", "desktop"])
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    with chromium.new_context(viewport=request.param) as context:
        made = context.new_page()
        console: list[str] = []
        made.on(
            "console", lambda message: console.append(message.text) if message.type in ("error", "warning") else None
        )
        made.on("pageerror", lambda error: console.append(str(error)))
        yield made
    expected_messages = ("status of 404", "status of 422", "status of 429", "favicon")
    problems = [text for text in console if not any(known in text for known in expected_messages)]
    assert problems == [], "errors in the browser's console, probably of the content security policy"


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_the_form_is_filled_in_by_keyboard_alone(runtime: EmbeddedRunner, address: str, page: Page) -> None:
    installation.sent(runtime)
    page.goto(f"{address}/f/{TOKEN}")
    browsing.check(page, "form")
    press(page, "Tab", "Space", "ArrowDown", "ArrowDown")  # arrival: the third option
    assert page.evaluate("document.activeElement.value") == "late"
    press(page, "Tab", "Tab", "Tab", "Space", "Tab", "Tab", "Space")  # damaged, papers missing
    press(page, "Tab", "Space", *["ArrowRight"] * 4)
    press(page, "Tab")
    page.keyboard.type("Box 3 was wet.")
    browsing.check(page, "form-filled")
    press(page, "Tab", "Enter")
    page.get_by_role("heading", name="Thank you. Your answer is recorded.").wait_for()
    browsing.check(page, "recorded")
    (row,) = rows(runtime, answers)
    assert (row["arrival"], row["condition"], row["score"]) == ("late", "damaged,papers_missing", 4)
    assert row["comment"] == "Box 3 was wet."
    page.reload()
    assert len(rows(runtime, answers)) == 1
    page.get_by_role("link", name="Change my answer").click()
    page.get_by_role("heading", name="Change your answer").wait_for()
    browsing.check(page, "amend")
    page.get_by_label("9", exact=True).check()
    page.get_by_role("button", name="Send answer").click()
    page.get_by_text("You have answered 2 times").wait_for()
    assert len(rows(runtime, answers)) == 2


def test_an_error_is_named_focused_and_linked_to_its_field(runtime: EmbeddedRunner, address: str, page: Page) -> None:
    installation.sent(runtime)
    page.goto(f"{address}/f/{TOKEN}")
    page.get_by_role("button", name="Send answer").click()
    page.get_by_role("alert").wait_for()
    browsing.check(page, "errors")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    press(page, "Tab", "Enter")
    assert page.evaluate("document.activeElement.id || location.hash.slice(1)") == "arrival-fine"
    assert page.get_by_label("Wrong goods").is_visible(), "with an error, every question is shown"


def test_goods_not_received_have_no_condition_and_french_fits(
    runtime: EmbeddedRunner, address: str, page: Page
) -> None:
    installation.sent(runtime, language="fr", timezone="Europe/Paris")
    page.goto(f"{address}/f/{TOKEN}")
    browsing.check(page, "french")
    page.get_by_label("Non, pas reçue").check()
    assert not page.get_by_label("Quelque chose est abîmé").is_visible()
    assert page.get_by_label("Un commentaire").is_visible()
    page.get_by_role("button", name="Envoyer la réponse").click()
    page.get_by_role("heading", name="Votre réponse est enregistrée").wait_for()
    browsing.check(page, "french-recorded")
    assert rows(runtime, answers)[0]["arrival"] == "not_received"


def test_an_invalid_link_shows_an_accessible_page(runtime: EmbeddedRunner, address: str, page: Page) -> None:
    page.goto(f"{address}/f/{'A' * 22}")
    browsing.check(page, "closed")
    for n in range(30):
        page.request.get(f"{address}/f/{n:022}")
    page.goto(f"{address}/f/{'A' * 22}")
    page.get_by_role("heading", name="Please wait a minute").wait_for()
    browsing.check(page, "wait")


def test_it_works_with_scripts_switched_off(runtime: EmbeddedRunner, address: str, chromium: Browser) -> None:
    installation.sent(runtime)
    with chromium.new_context(viewport=SMALL, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}/f/{TOKEN}")
        assert not page.get_by_label("10", exact=True).is_visible(), "one question at first"
        page.get_by_label("Yes, on time and complete").check()
        page.get_by_label("10", exact=True).check()
        page.get_by_role("button", name="Send answer").click()
        page.get_by_role("heading", name="Thank you. Your answer is recorded.").wait_for()
    assert rows(runtime, answers)[0]["score"] == 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", languages())
def test_every_language_fits_a_small_screen_in_light_and_dark(
    runtime: EmbeddedRunner, address: str, chromium: Browser, language: str, scheme: Scheme
) -> None:
    """Two taps without scrolling, by thumb; everything that follows is accessible and fits."""
    installation.sent(runtime, language=language, timezone="Europe/Paris")
    text = translations(language).gettext
    rules = browsing.CONTRASTS if scheme == "dark" else None
    with chromium.new_context(viewport=SMALL, color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(f"{address}/f/{TOKEN}")
        late, send = page.get_by_text(text("Yes, but late")), page.get_by_role("button", name=text("Send answer"))
        tops = []
        for target in (page.get_by_text(text("Yes, on time and complete")), late, send):
            box = target.bounding_box()
            assert box is not None
            tops.append(box["y"])
            assert 0 <= box["y"] <= SMALL["height"] - box["height"], "without scrolling"
        assert tops[-1] > SMALL["height"] / 2, "within reach of a thumb"
        browsing.check(page, f"{language}-{scheme}-1-form", rules)
        page.get_by_text(text("Yes, on time and complete")).click()
        box = send.bounding_box()
        assert box is not None
        assert box["y"] <= SMALL["height"] - box["height"], "the second tap needs no scrolling either"
        browsing.check(page, f"{language}-{scheme}-1-happy", rules)
        late.click()
        page.get_by_text(text("Something is damaged")).click()
        assert not page.locator("#goods-complete").is_visible(), "they exclude each other"
        browsing.check(page, f"{language}-{scheme}-2-filled", rules)
        send.click()
        page.get_by_role("heading", name=text("Thank you. Your answer is recorded.")).wait_for()
        browsing.check(page, f"{language}-{scheme}-3-recorded", rules)
        direction = page.evaluate("getComputedStyle(document.body).direction")
        assert direction == ("rtl" if is_right_to_left(language) else "ltr")
    assert rows(runtime, answers)[0]["condition"] == "damaged"


def test_two_taps_record_that_all_is_well(runtime: EmbeddedRunner, address: str, chromium: Browser) -> None:
    installation.sent(runtime)
    with chromium.new_context(viewport=SMALL, has_touch=True, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}/f/{TOKEN}")
        page.get_by_text("Yes, on time and complete").tap()
        page.get_by_role("button", name="Send answer").tap()
        page.get_by_role("heading", name="Thank you. Your answer is recorded.").wait_for()
    (row,) = rows(runtime, answers)
    assert (row["arrival"], row["complete"]) == ("on_time", True)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_another_language_and_back_keep_what_was_entered(
    runtime: EmbeddedRunner, address: str, chromium: Browser, scripts: bool
) -> None:
    installation.sent(runtime)
    with chromium.new_context(viewport=SMALL, java_script_enabled=scripts) as context:
        page = context.new_page()
        page.goto(f"{address}/f/{TOKEN}")
        page.get_by_label("Yes, but late").check()
        page.get_by_label("4", exact=True).check()
        page.get_by_label("Any comments?").fill("Box 3 was wet.")
        page.get_by_role("button", name="Deutsch").click()
        page.get_by_role("heading", name="Wie war Ihre Lieferung?").wait_for()
        assert page.get_by_label("Ja, aber zu spät").is_checked()
        assert page.get_by_label("Möchten Sie etwas anmerken?").input_value() == "Box 3 was wet."
        page.go_back()
        page.get_by_role("heading", name="How was your delivery?").wait_for()
        assert page.get_by_label("Yes, but late").is_checked()
        assert page.get_by_label("4", exact=True).is_checked()
        assert page.get_by_label("Any comments?").input_value() == "Box 3 was wet."
        assert rows(runtime, answers) == []
        page.get_by_role("button", name="Send answer").click()
        page.get_by_role("heading", name="Thank you. Your answer is recorded.").wait_for()
        page.go_back()
        page.get_by_role("heading", name="Your answer is recorded").wait_for()


def test_a_receipt_prints_without_its_controls(runtime: EmbeddedRunner, address: str, page: Page) -> None:
    installation.sent(runtime)
    page.goto(f"{address}/f/{TOKEN}?a=2")
    browsing.check(page, "one-tap")
    page.get_by_role("button", name="Send answer").click()
    page.get_by_text("Reference").wait_for()
    page.emulate_media(media="print")
    assert not page.get_by_role("link", name="Change my answer").is_visible()
    assert page.get_by_text("Reference").is_visible()


def test_the_phone_page_updates_itself_and_accepts_replies(runtime: EmbeddedRunner, address: str, page: Page) -> None:
    installation.sent(runtime, name="Ana Roux")
    question = questions.question_text("en", "delivery", "Acme", "SO-1", f"{address}/f/{TOKEN}")
    page.goto(f"{address}/phone")
    page.get_by_text("No messages yet.").wait_for()
    with runtime.engine.begin() as connection:
        phones.store_message(connection, VAULT, PHONE, question, at(hours=2), phones.Recipient("A-1", "ana", "SO-1"))
    page.get_by_role("heading", name="Ana Roux").wait_for()  # without a reload, within seconds
    assert "Ana Roux" in page.get_by_role("status").inner_text()
    box = page.get_by_label("Reply as Ana Roux")
    for words, then in (
        ("2", "Would you recommend us"),
        ("4", "A word is enough"),
        ("Box 3 was wet.", "looking into it"),
    ):
        box.fill(words)
        box.press("Enter")
        page.get_by_text(then).first.wait_for()
    speakers = page.get_by_role("listitem").evaluate_all("items => items.map(item => item.className)")
    assert speakers == ["ours", *["theirs", "ours"] * 3], "each reply follows its message"
    browsing.check(page, "phone")
    assert rows(runtime, answers)[-1]["comment"] == "Box 3 was wet."
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="/f/").first.click()
    opened.value.get_by_role("heading", name="Your answer is recorded").wait_for()
