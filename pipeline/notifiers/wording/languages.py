"""Languages of customers' texts. English is written in the code; one catalogue for each other language translates it.

To add a language, add one file, `locales/<language>.po`; a test lists the sentences that are missing in it.
"""

from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO

from babel import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

SOURCE_LANGUAGE = "en"
_LOCALES = files("pipeline.notifiers.wording").joinpath("locales")


def translatable(message: str) -> str:
    """Return the message unchanged. Marks it for translation at the point of use, as gettext's N_ does."""
    return message


@lru_cache
def languages() -> tuple[str, ...]:
    """The languages that texts exist in, English first."""
    found = sorted(entry.name.removesuffix(".po") for entry in _LOCALES.iterdir() if entry.name.endswith(".po"))
    return (SOURCE_LANGUAGE, *found)


def best_language(*preferences: str | None) -> str:
    """The first preference ("fr", "fr-CA", "fr_BE.UTF-8") that texts exist in; English if there is none."""
    for preference in preferences:
        language = (preference or "").replace("_", "-").partition("-")[0].strip().lower()
        if language in languages():
            return language
    return SOURCE_LANGUAGE


def accepted_languages(header: str | None) -> list[str]:
    """The languages of an `Accept-Language` header, best first; entries that cannot be parsed are left out."""
    found: list[tuple[float, str]] = []
    for part in (header or "")[:500].split(","):
        language, _, quality = (piece.strip() for piece in part.partition(";q="))
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if language and weight > 0:
            found.append((-weight, language))
    return [language for _, language in sorted(found, key=lambda item: item[0])]


def translate(message: str, language: str | None) -> str:
    """A translatable message in a person's language, or in English if there is no catalogue for it."""
    return translations(best_language(language)).gettext(message)


@lru_cache
def translations(language: str) -> NullTranslations:
    """The catalogue of a language. Without a catalogue, English among them, every message stays as it is."""
    if language == SOURCE_LANGUAGE or language not in languages():
        return NullTranslations()
    with _LOCALES.joinpath(f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


@lru_cache
def native_name(language: str) -> str:
    """The name of a language in that language: "English", "Français"."""
    try:
        name = Locale.parse(language).get_display_name() or language
    except (UnknownLocaleError, ValueError):
        return language
    return name[:1].upper() + name[1:]
