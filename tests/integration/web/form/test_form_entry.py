"""How people reach the form and move in it: links in sentences, one-tap answers, languages, Back, errors, receipts."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy.exc import OperationalError

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.write_queue import NotStored
from pipeline.domain.answers.replies import MAX_TEXT
from pipeline.notifiers.wording.languages import languages
from pipeline.store.schema.answers import answers
from pipeline.web.public.form import brand, draft, form, links
from pipeline.web.public.form.submission import Submission
from tests.support.builders import at, completed, contact, scanned
from tests.support.dump import dump
from tests.support.modes import EVERYWHERE
from tests.support.requests import installation
from tests.support.requests.installation import TOKEN, Clock
from tests.support.running.embedded import ingest
from tests.support.stored import rows

HEADERS = {"content-type": "application/x-www-form-urlencoded"}
everywhere = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
MAX_FORM_BYTES = 20_000


@pytest.fixture
def clock() -> Clock:
    return Clock(at(hours=3))


@pytest.fixture
def client(runtime: EmbeddedRunner, clock: Clock) -> Iterator[TestClient[Litestar]]:
    services = installation.services(runtime, clock, public_url="http://ask.example.com")  # the client has no TLS
    with installation.client(*form.routes(services)) as made:
        yield made


def post(client: TestClient[Litestar], fields: dict[str, Any], path: str = f"/f/{TOKEN}", **more: Any) -> Any:
    return client.post(path, content=urlencode(fields, doseq=True), headers=HEADERS, **more)


def checked(page: str) -> set[str]:
    """The choices that are selected on a page."""
    return set(re.findall(r'id="([\w-]+)"[^>]* checked', page))


@everywhere
@pytest.mark.parametrize("ending", [".", ")", "),", "!", "\u201d", "\u3002", "\uff09", "'.", "/"])
def test_a_link_works_with_the_punctuation_around_it(
    runtime: EmbeddedRunner, client: TestClient[Litestar], ending: str
) -> None:
    installation.sent(runtime)
    page = client.get(f"/f/{TOKEN}{ending}")
    assert page.status_code == 200
    assert f'action="/f/{TOKEN}"' in page.text
    assert post(client, {"arrival": "late"}, f"/f/{TOKEN}{ending}").status_code == 200
    assert len(rows(runtime, answers)) == 1


@everywhere
@pytest.mark.parametrize("path", ["/", "/f", "/f/"])
def test_without_a_link_people_read_what_to_do(client: TestClient[Litestar], path: str) -> None:
    page = client.get(path, headers={"accept-language": "de"})
    assert (page.status_code, page.headers["content-type"][:9]) == (200, "text/html")
    assert "öffnen Sie den Link in unserer Nachricht" in page.text


@everywhere
@pytest.mark.parametrize(
    ("option", "selected", "recorded"),
    [
        ("1", {"arrival-fine", "goods-complete"}, ("on_time", True)),
        ("2", {"arrival-late"}, ("late", None)),
        ("3", {"arrival-on_time"}, ("on_time", None)),
        ("4", {"arrival-not_received"}, ("not_received", None)),
        ("fine", {"arrival-fine", "goods-complete"}, ("on_time", True)),
    ],
)
def test_an_option_in_a_link_is_selected_and_recorded_only_once_sent(
    runtime: EmbeddedRunner, client: TestClient[Litestar], option: str, selected: set[str], recorded: tuple[str, Any]
) -> None:
    installation.sent(runtime)
    before = dump(runtime.engine)
    page = client.get(f"/f/{TOKEN}", params={"a": option}).text
    assert "Nothing is recorded before" in page
    assert checked(page) == selected
    assert dump(runtime.engine) == before
    [arrival] = [name.removeprefix("arrival-") for name in selected if name.startswith("arrival")]
    assert post(client, {"arrival": arrival}).status_code == 200
    (row,) = rows(runtime, answers)
    assert (row["arrival"], row["complete"]) == recorded


@everywhere
def test_an_option_after_an_answer_amends_it_and_an_unknown_one_selects_nothing(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    installation.sent(runtime)
    assert checked(client.get(f"/f/{TOKEN}", params={"a": "9"}).text) == set()
    post(client, {"arrival": "late", "goods": "damaged", "score": "3"})
    page = client.get(f"/f/{TOKEN}", params={"a": "4"}).text
    assert checked(page) == {"arrival-not_received", "goods-damaged", "score-3"}
    assert "Nothing is recorded before" in page


@everywhere
def test_the_first_choice_covers_what_the_hidden_question_may_still_hold(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    installation.sent(runtime)
    assert post(client, {"arrival": "fine", "goods": ["damaged"]}).status_code == 200
    (row,) = rows(runtime, answers)
    assert (row["arrival"], row["complete"], row["condition"]) == ("on_time", True, "")


@everywhere
def test_another_language_keeps_what_was_entered_and_records_nothing(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    installation.sent(runtime)
    words = ("nass, 湿った, رطب " * 60).strip()
    entered = {"arrival": "late", "goods": ["damaged"], "score": "4", "comment": words}
    moved = post(client, entered | {"switch": "fa"}, follow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (303, f"/f/{TOKEN}?lang=fa")
    page = client.get(moved.headers["location"]).text
    assert '<html lang="fa" dir="rtl">' in page
    assert checked(page) == {"arrival-late", "goods-damaged", "score-4"}
    assert words in page
    assert words in client.get(f"/f/{TOKEN}").text, "and so does Back"
    assert rows(runtime, answers) == []
    assert post(client, entered | {"lang": "fa"}).status_code == 200
    assert not draft.draft_in(dict(client.cookies)), "what was sent is no draft"


@everywhere
def test_after_an_error_back_shows_what_was_entered(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    assert post(client, {"score": "4", "comment": "Box 3 was wet."}).status_code == 422
    page = client.get(f"/f/{TOKEN}").text
    assert checked(page) == {"score-4"}
    assert "Box 3 was wet.</textarea>" in page


@given(st.text(max_size=MAX_TEXT), st.lists(st.sampled_from(["complete", "damaged"]), max_size=2))
def test_a_draft_is_read_as_it_was_entered_unless_its_words_are_too_many(comment: str, goods: list[str]) -> None:
    entered = Submission("late", tuple(goods), "4", comment.encode("utf-8", "replace").decode())
    cookies = draft.cookies_of(entered, "/f/x", secure=True)
    assert all(cookie.httponly and cookie.secure and len(cookie.value or "") <= 3_000 for cookie in cookies)
    read = draft.draft_in({cookie.key: cookie.value or "" for cookie in cookies})
    assert read is not None
    assert read._replace(comment="") == entered._replace(comment="")
    assert read.comment in (entered.comment, "")


@pytest.mark.parametrize("value", ["", "x", "AAAA", "\u0661", "eJyrVkrLL1KyUkpKLFKqBQAn4AUZ"])
def test_a_draft_that_was_altered_is_ignored(value: str) -> None:
    assert draft.draft_in({"draft0": value}) is None


@everywhere
@pytest.mark.parametrize("language", languages())
def test_the_form_is_small_in_every_language(
    runtime: EmbeddedRunner, client: TestClient[Litestar], language: str
) -> None:
    installation.sent(runtime, language=language)
    page = client.get(f"/f/{TOKEN}")
    assert f'<html lang="{language}"' in page.text
    assert ('dir="rtl"' in page.text) == (language in ("ar", "fa"))
    assert 'dir="auto"' in page.text
    assert "<script" not in page.text
    styles = sum(
        len(client.get(address).content) for address in re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.text)
    )
    assert len(page.content) + styles < MAX_FORM_BYTES


@everywhere
def test_the_form_says_who_asks_about_which_delivery(runtime: EmbeddedRunner, clock: Clock, tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    settings = {
        "company_name": "Atelier <Roux>",
        "company_logo": logo,
        "company_colour": "#ffcc00",
        "privacy_url": "https://a.example/privacy",
        "contact_phone": "+33 1 23 45 67 89",
        "contact_email": "help@a.example",
    }
    order = completed(
        time=at(hours=2),
        contacts=[contact(language="en")],
        shipments=[{"shipment_id": "1", "carrier": "Nordex"}, {"shipment_id": "2", "carrier": "Nordex"}],
    )
    scans = [scanned(time=at(hours=2), shipment_id=str(n)) for n in (1, 2)]
    ingest(runtime, order, *scans)
    installation.mark_sent(runtime, "SO-1", TOKEN, at(hours=2))
    with installation.client(*form.routes(installation.services(runtime, clock, **settings))) as client:
        page = client.get(f"/f/{TOKEN}").text
        for shown in (
            "Atelier &lt;Roux&gt;",
            "Order SO-1",
            "Delivered on 2 March 2026",
            "Nordex",
            "2 parcels",
            'href="https://a.example/privacy"',
            'href="tel:+33123456789"',
            'href="mailto:help@a.example"',
        ):
            assert shown in page, shown
        [logo_path] = re.findall(r'<img src="([^"]+)"', page)
        picture = client.get(logo_path)
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
        assert picture.headers["content-security-policy"].startswith("default-src 'none'")
        [_, colours] = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
        assert client.get(colours).headers["content-type"].startswith("text/css")
        assert "call <bdi" not in page
        assert "call +33 1 23 45 67 89" in post(client, {"arrival": "late"}).text


@given(st.from_regex(r"#[0-9a-f]{6}", fullmatch=True))
def test_any_colour_becomes_one_that_can_be_read(colour: str) -> None:
    for paper in ("#f4f6f8", "#ffffff", "#10161c", "#1a222a"):
        back = tuple(int(paper[n : n + 2], 16) for n in (1, 3, 5))
        base = "#f4f6f8" if back[0] > 127 else "#10161c"
        shown = brand.readable(colour, base)
        assert brand.contrast(tuple(int(shown[n : n + 2], 16) for n in (1, 3, 5)), back) >= brand.CONTRAST


@everywhere
def test_a_receipt_has_a_reference_that_stays_and_changes_with_the_answer(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    installation.sent(runtime)
    sent = post(client, {"arrival": "late"}).text
    [reference] = re.findall(r'class="reference">([0-9A-F-]{14})<', sent)
    assert reference in client.get(f"/f/{TOKEN}").text
    assert reference not in post(client, {"arrival": "on_time"}).text
    assert "print" in sent


@everywhere
@pytest.mark.parametrize("error", [NotStored("the disk is full"), OperationalError("", {}, Exception("locked"))])
def test_what_cannot_be_stored_is_told_to_people_in_their_language(
    runtime: EmbeddedRunner, clock: Clock, error: Exception
) -> None:
    installation.sent(runtime)
    services = installation.services(runtime, clock)

    async def _fail(_batch: object) -> Any:
        raise error

    object.__setattr__(services, "submit", _fail)
    with installation.client(*form.routes(services)) as client:
        page = post(client, {"arrival": "late"}, follow_redirects=False)
        german = client.post(
            f"/f/{TOKEN}", content="arrival=late", headers=HEADERS | {"accept-language": "de"}, follow_redirects=False
        )
    assert (page.status_code, page.headers["content-type"][:9]) in [(503, "text/html"), (500, "text/html")]
    assert page.headers["retry-after"] == "60"
    assert "Your answer was not recorded" in page.text
    assert "Ihre Antwort wurde nicht gespeichert" in german.text


@everywhere
def test_a_body_that_cannot_be_read_is_told_to_people(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    page = client.post(f"/f/{TOKEN}", content=b"\xff", headers=HEADERS)
    assert (page.status_code, "could not be read" in page.text) == (400, True)


@everywhere
def test_an_expired_link_says_how_to_answer(
    runtime: EmbeddedRunner, client: TestClient[Litestar], clock: Clock
) -> None:
    installation.sent(runtime)
    clock.moment = at(hours=2) + links.VALID + timedelta(seconds=1)
    page = client.get(f"/f/{TOKEN}", headers={"accept-language": "pt"})
    assert (page.status_code, "responda à nossa mensagem" in page.text) == (404, True)
