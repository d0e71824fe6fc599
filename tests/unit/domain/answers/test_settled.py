"""Whether a reply says that a case is settled, and whether words ask for something."""

import pytest

from pipeline.domain.answers.reading.requests import request_of
from pipeline.domain.answers.settled import settled_of


@pytest.mark.parametrize(
    ("text", "language", "settled"),
    [
        ("1", None, True),
        ("1 yes", "en", True),
        ("Yes, thanks!", "en", True),
        ("ja", "de", True),
        ("Oui merci", "fr", True),
        ("sí", "es", True),
        ("sim", "pt", True),
        ("نعم", "ar", True),
        ("بله", "fa", True),
        ("はい", "ja", True),
        ("是的", "zh", True),
        ("2", None, False),
        ("no", "en", False),
        ("nein", "de", False),
        ("non", "fr", False),
        ("não", "pt", False),
        ("لا", "ar", False),
        ("いいえ", "ja", False),
        ("yes but two boxes are missing", "en", None),
        ("Two boxes are still missing", "en", None),
        ("yes?", "en", None),
        ("3", None, None),
        ("hm", None, None),
        ("", None, None),
    ],
)
def test_only_a_clear_yes_is_one(text: str, language: str | None, settled: bool | None) -> None:
    assert settled_of(text, language) is settled


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Please call me back", "call"),
        ("call us tomorrow", "call"),
        ("Bitte rufen Sie mich an", "call"),
        ("Bitte um Rückruf", "call"),
        ("Merci de me rappeler", "call"),
        ("Rappelez-moi svp", "call"),
        ("Llámeme por favor", "call"),
        ("me liguem por favor", "call"),
        ("اتصلوا بي", "call"),
        ("لطفا تماس بگیرید", "call"),
        ("お電話ください", "call"),
        ("请给我打电话", "call"),
        ("When does the rest come?", "question"),
        ("متى يصل الباقي؟", "question"),
        ("残りはいつですか\uff1f", "question"),
        ("Do not call me", None),
        ("no need to call me", None),
        ("see https://shop.example/?id=3", None),
        ("All fine, thanks", None),
        ("", None),
        (None, None),
    ],
)
def test_words_that_ask_for_something_are_recognised(text: str | None, asked: str | None) -> None:
    assert request_of(text) == asked
