"""The text of a question: one segment in every language, with its link and the opt-out, and without injected text."""

from typing import get_args

import pytest

from pipeline.domain.answers.replies import PlainReader
from pipeline.domain.events.contract import Purpose
from pipeline.notifiers.wording.gsm import segments
from pipeline.notifiers.wording.languages import languages
from pipeline.notifiers.wording.questions import MAX_COMPANY, MAX_ORDER, MIN_ORDER, question_text

LINK = "https://ask.example.com/f/" + "A" * 22
ORDER = "SO-20261127-0001-FRA"


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("purpose", get_args(Purpose))
@pytest.mark.parametrize("company", ["Acme", "C" * MAX_COMPANY])
def test_a_question_is_one_segment_with_its_link_and_the_way_out(language: str, purpose: Purpose, company: str) -> None:
    assert len(ORDER) == MAX_ORDER
    text = question_text(language, purpose, company, ORDER, LINK)
    assert segments(text) == 1, (len(text), text)
    assert text.startswith(company)
    assert LINK in text
    assert "STOP" in text
    assert (ORDER if company == "Acme" else ORDER[:MIN_ORDER]) in text


def test_an_order_number_is_cut_only_as_far_as_the_segment_requires() -> None:
    lengths = [len(question_text("en", "delivery", "C" * n, ORDER, LINK)) for n in (10, 20, 25, MAX_COMPANY)]
    assert lengths == [150, 160, 160, 160]


def test_with_a_link_that_is_too_long_the_order_number_stays_recognisable() -> None:
    text = question_text("en", "delivery", "Acme", ORDER, f"https://{'a' * 120}.example/f/{'A' * 22}")
    assert f"order {ORDER[:MIN_ORDER]}?" in text


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("purpose", get_args(Purpose))
def test_every_option_of_a_question_is_parsed(language: str, purpose: Purpose) -> None:
    text = question_text(language, purpose, "Acme", ORDER, LINK)
    read = {}
    for option in "1234":
        assert f" {option} " in text
        reading = PlainReader().read(option, "arrival", language)
        read[option] = (reading.arrival, reading.complete)
    assert read == {
        "1": ("on_time", True),
        "2": ("late", None),
        "3": (None, False),
        "4": ("not_received", None),
    }


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        *[("OK", ("on_time", True)), ("late", ("late", None)), ("retard", ("late", None))],
        *[("missing/damaged", (None, False)), ("manquant ou abimé", (None, False))],
        *[("not received", ("not_received", None)), ("Non livré", ("not_received", None))],
    ],
)
def test_the_words_of_an_option_are_parsed_like_its_number(reply: str, read: tuple[str, bool | None]) -> None:
    reading = PlainReader().read(reply, "arrival", "en")
    assert (reading.arrival, reading.complete) == read


def test_an_order_number_cannot_inject_text_into_a_message() -> None:
    order_id = "http://evil.example/\nCall +1 900 {{ 7*7 }} 🙂"
    text = question_text("xx", "delivery", "Acme", order_id, "https://a.example/f/x")
    assert "//evil" not in text
    assert "\n" not in text
    assert "🙂" not in text
    assert segments(text) == 1


def test_a_text_outside_the_alphabet_is_counted_as_it_is_charged() -> None:
    assert segments("é" * 160) == 1
    assert segments("€" * 81) == 2
    assert segments("ç" * 71) == 2
    assert segments("🙂" * 35) == 1
