"""What we say to customers, in their language. English is written in the code; a catalogue per language translates it.

A new language is one file, `locales/<language>.po`; a test says which of its sentences are missing.
"""

from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO

from babel import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

SOURCE = "en"
_LOCALES = files("pipeline.notifiers.wording").joinpath("locales")


def marked(message: str) -> str:
    """The message itself. It marks what is translated later, where it is used."""
    return message


@lru_cache
def languages() -> tuple[str, ...]:
    """The languages we speak, English first."""
    found = sorted(entry.name.removesuffix(".po") for entry in _LOCALES.iterdir() if entry.name.endswith(".po"))
    return (SOURCE, *found)


def spoken(*wishes: str | None) -> str:
    """The language to speak to somebody: the first wish ("fr", "fr-CA", "fr_BE.UTF-8") we can fulfil, else English."""
    for wish in wishes:
        language = (wish or "").replace("_", "-").partition("-")[0].strip().lower()
        if language in languages():
            return language
    return SOURCE


def accepted(header: str | None) -> list[str]:
    """The languages of an `Accept-Language` header, best first; what cannot be read is left out."""
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


@lru_cache
def translations(language: str) -> NullTranslations:
    """The catalogue of one of our languages; English has none and says what the code says."""
    if language == SOURCE or language not in languages():
        return NullTranslations()
    with _LOCALES.joinpath(f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


@lru_cache
def own_name(language: str) -> str:
    """What a language calls itself: "English", "Français"."""
    try:
        name = Locale.parse(language).get_display_name() or language
    except (UnknownLocaleError, ValueError):
        return language
    return name[:1].upper() + name[1:]
