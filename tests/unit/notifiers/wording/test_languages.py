"""Every customer text exists in every language, with the same placeholders and plural forms, and is short enough."""

import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import pipeline
from pipeline.notifiers.wording.gsm import segments, unsupported
from pipeline.notifiers.wording.languages import (
    accepted_languages,
    best_language,
    is_right_to_left,
    languages,
    local_date,
    local_digits,
    local_time,
    native_name,
    translate,
    translations,
)
from pipeline.notifiers.wording.questions import MAX_COMPANY, MAX_SEGMENTS, most_segments
from pipeline.notifiers.wording.reply_texts import TEXTS, Speaker

PACKAGE = Path(pipeline.__file__).parent
PAGES = ("web/public/**/templates/*.j2", "notifiers/wording/mail/*.j2")
OPTIONS = {"trim_blocks": "true", "lstrip_blocks": "true", "newstyle_gettext": "true"}
TRANSLATED = [name for name in languages() if name != "en"]
WITHOUT_GSM = {"ar", "fa", "ja", "zh"}

Message = str | tuple[str, ...]


@cache
def source_messages() -> set[Message]:
    """The translatable messages of the code and of the customers' pages; with a plural, both forms."""
    found = extract_from_dir(
        PACKAGE,
        method_map=[*((pages, "jinja2") for pages in PAGES), ("**.py", "python")],
        options_map=dict.fromkeys(PAGES, OPTIONS),
        keywords={"_": None, "gettext": None, "ngettext": (1, 2), "translatable": None},
    )
    return {message for _, _, message, _, _ in found if message}


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)[sd]", text))


def test_the_nine_languages_exist() -> None:
    assert set(languages()) == {"en", "fr", "es", "de", "pt", "ja", "zh", "ar", "fa"}


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_catalogue_has_exactly_the_required_texts(language: str) -> None:
    with (PACKAGE / "notifiers" / "wording" / "locales" / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language, abort_invalid=True)
    translated = {message.id: message.string for message in catalogue if message.id}
    assert {tuple(key) if isinstance(key, list) else key for key in translated} == source_messages()
    for english, theirs in translated.items():
        forms = (theirs,) if isinstance(theirs, str) else tuple(theirs or ())
        assert len(forms) == (1 if isinstance(english, str) else catalogue.num_plurals), english
        for form in forms:
            assert form, english
            assert placeholders(form) == placeholders(english if isinstance(english, str) else english[0]), english
    assert not any(message.fuzzy for message in catalogue if message.id)


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_text_was_left_in_english(language: str) -> None:
    for message in source_messages():
        english = message if isinstance(message, str) else message[0]
        if len(english.split()) > 3 and not english.startswith("1 OK"):
            assert translations(language).gettext(english) != english


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, "طرد واحد (%(number)s)"), (2, "طردان (%(number)s)"), (3, "%(number)s طرود"), (11, "%(number)s طردا")],
)
def test_plural_forms_follow_the_language(n: int, expected: str) -> None:
    assert translations("ar").ngettext("%(number)s parcel", "%(number)s parcels", n) == expected


@pytest.mark.parametrize(
    ("wishes", "language"),
    [(("fr-CA",), "fr"), (("fr_BE.UTF-8",), "fr"), ((None, "nl", "fr"), "fr"), (("",), "en"), (("frisian",), "en")],
)
def test_the_first_supported_language_is_chosen(wishes: tuple[str | None, ...], language: str) -> None:
    assert best_language(*wishes) == language


@pytest.mark.parametrize(("wish", "language"), [("zh-Hant-TW", "zh"), ("pt-BR", "pt"), ("fa_IR", "fa"), ("AR", "ar")])
def test_a_regional_language_is_answered_in_its_language(wish: str, language: str) -> None:
    assert best_language(wish) == language


def test_languages_of_a_browser_are_ordered_by_quality() -> None:
    assert accepted_languages("fr;q=0.4, en-GB, de;q=0, *;q=0.1, x;q=y") == ["en-GB", "fr", "*"]
    assert accepted_languages("," * 100_000 + "fr") == []
    assert accepted_languages(None) == []


def test_languages_are_listed_under_their_native_names() -> None:
    assert [native_name(language) for language in ("en", "fr", "ar", "no-such")] == [
        "English",
        "Français",
        "العربية",
        "no-such",
    ]
    assert translations("no-such").gettext("Send answer") == "Send answer"


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("text", TEXTS)
def test_every_reply_names_its_sender_first_and_fits(language: str, text: str) -> None:
    said = Speaker("C" * MAX_COMPANY, "+33 1 23 45 67 89").say(text, language)
    assert said.lstrip("\u200f").startswith("C" * MAX_COMPANY + ": ")
    assert segments(said) <= most_segments(language), said
    assert "%" not in said


def test_only_scripts_that_the_gsm_alphabet_lacks_need_more_than_one_segment() -> None:
    for language in languages():
        assert most_segments(language) == (MAX_SEGMENTS if language in WITHOUT_GSM else 1)
        if language not in WITHOUT_GSM:
            assert [text for text in TEXTS if unsupported(translate(text, language))] == []


def test_dates_times_and_digits_are_local() -> None:
    at = datetime(2026, 3, 2, 13, 5, tzinfo=UTC)
    assert [local_date(at, language) for language in ("en", "fr", "de", "es", "pt", "ja", "zh")] == [
        "2 March 2026",
        "2 mars 2026",
        "2. März 2026",
        "2 de marzo de 2026",
        "2 de março de 2026",
        "2026年3月2日",
        "2026年3月2日",
    ]
    assert (local_date(at, "ar"), local_date(at, "fa")) == ("٢ مارس ٢٠٢٦", "۲ مارس ۲۰۲۶")
    assert [local_time(at, language) for language in ("en", "fr", "de", "ja", "fa")] == [
        "13:05",
        "13:05",
        "13:05",
        "13:05",
        "۱۳:۰۵",  # noqa: RUF001
    ]
    assert (local_digits("10 = x", "fa"), local_digits(10, "de")) == ("۱۰ = x", "10")  # noqa: RUF001


def test_two_of_the_languages_are_written_from_right_to_left() -> None:
    assert {language for language in languages() if is_right_to_left(language)} == {"ar", "fa"}
    assert not is_right_to_left("no-such")
