"""The e-mail of a question: in every language, with one-tap links, an end of messages, and nothing injected."""

import re

import pytest

from pipeline.notifiers.wording.languages import languages
from pipeline.notifiers.wording.mails import AskedQuestion, question_mail

LINK = "https://ask.example.com/f/" + "A" * 22
STOP = "https://ask.example.com/u/" + "B" * 22


@pytest.mark.parametrize("language", languages())
def test_every_language_has_the_options_as_links_and_an_end(language: str) -> None:
    mail = question_mail(AskedQuestion(language, "delivery", "Acme", "SO-1", LINK), STOP)
    assert mail.subject.startswith("Acme: ")
    assert "SO-1" in mail.subject
    for content in (mail.text, mail.html):
        assert [n for n in "1234" if f"{LINK}?a={n}" in content] == [*"1234"]
        assert STOP in content
        assert "{" not in re.sub(r"<style.*?</style>", "", content)
    assert f'lang="{language}" dir="{"rtl" if language in ("ar", "fa") else "ltr"}"' in mail.html
    assert mail.unsubscribe_url == STOP


def test_the_subject_follows_purpose_role_and_own_words() -> None:
    def _subject(**more: object) -> str:
        asked = {"language": "en", "purpose": "delivery", "company": "Acme", "order_id": "SO-1", "link": LINK} | more
        return question_mail(AskedQuestion(**asked), STOP).subject  # type: ignore[arg-type]

    assert _subject() == "Acme: How was your delivery? (Order SO-1)"
    assert _subject(purpose="missing_scan") == "Acme: Your order should have arrived (Order SO-1)"
    assert _subject(role="user") == "Acme: Is order SO-1 as you need it?"
    assert _subject(own_words={"en": {"all": "all well with %(order)s?"}}) == "Acme: All well with SO-1?"


def test_names_and_numbers_are_text_and_nothing_else() -> None:
    asked = AskedQuestion("en", "delivery", "<b>A&B</b>", "SO<script>-1\r\nBcc: x@y.example", LINK)
    mail = question_mail(asked, STOP)
    assert "<script" not in mail.html
    assert "<b>" not in mail.html
    assert "\n" not in mail.subject
