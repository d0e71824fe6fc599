"""Every customer text exists in every language, with the same placeholders."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import pipeline
from pipeline.notifiers.wording.gsm import segments
from pipeline.notifiers.wording.languages import accepted_languages, best_language, languages, native_name, translations
from pipeline.notifiers.wording.reply_texts import TEXTS

PACKAGE = Path(pipeline.__file__).parent
FORMS = "web/public/form/templates/*.j2"


def source_messages() -> set[str]:
    """The translatable messages of the code and of the customers' pages."""
    found = extract_from_dir(
        PACKAGE,
        method_map=[(FORMS, "jinja2"), ("**.py", "python")],
        options_map={FORMS: {"trim_blocks": "true", "lstrip_blocks": "true", "newstyle_gettext": "true"}},
        keywords={"_": None, "gettext": None, "translatable": None, "say": None},
    )
    return {message for _, _, message, _, _ in found if isinstance(message, str)}


@pytest.mark.parametrize("language", [name for name in languages() if name != "en"])
def test_every_catalogue_has_exactly_the_required_texts(language: str) -> None:
    with (PACKAGE / "notifiers" / "wording" / "locales" / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    translated = {str(message.id): str(message.string or "") for message in catalogue if message.id}
    assert set(translated) == source_messages()
    for english, theirs in translated.items():
        assert theirs, english
        assert sorted(re.findall(r"%\(\w+\)[sd]", theirs)) == sorted(re.findall(r"%\(\w+\)[sd]", english)), english


@pytest.mark.parametrize(
    ("wishes", "language"),
    [(("fr-CA",), "fr"), (("fr_BE.UTF-8",), "fr"), ((None, "de", "fr"), "fr"), (("",), "en"), (("frisian",), "en")],
)
def test_the_first_supported_language_is_chosen(wishes: tuple[str | None, ...], language: str) -> None:
    assert best_language(*wishes) == language


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


def test_every_text_is_one_segment_in_every_language() -> None:
    for language in languages():
        for message in TEXTS:
            text = translations(language).gettext(message)
            assert segments(text) == 1, (language, text)
