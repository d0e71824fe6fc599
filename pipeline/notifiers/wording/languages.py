"""Languages of customers' texts. English is written in the code; one catalogue for each other language translates it.

To add a language, add one file, `locales/<language>.po`; a test lists the sentences that are missing in it. Catalogues
are read as they are written, once for each process: there is no compiled copy that could be out of date.
"""

from datetime import datetime
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

from pipeline.notifiers.wording.gsm import plain

SOURCE_LANGUAGE = "en"
_LOCALES = files("pipeline.notifiers.wording").joinpath("locales")
_LOCALE_OF = {"en": "en_GB"}  # international English: the day before the month, 24 hours
_DIGITS = {"ar": "٠١٢٣٤٥٦٧٨٩", "fa": "۰۱۲۳۴۵۶۷۸۹"}  # default numbering systems of CLDR that are not 0-9


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
    """A translatable text message in a person's language, or in English if there is no catalogue for it.

    It is spelled with the GSM alphabet where its script allows, because other characters double its price.
    """
    return plain(translations(best_language(language)).gettext(message))


@lru_cache
def is_right_to_left(language: str) -> bool:
    """Whether the language is written from right to left."""
    try:
        return bool(Locale.parse(language).text_direction == "rtl")
    except (UnknownLocaleError, ValueError):
        return False


def local_digits(number: object, language: str) -> str:
    """A number, or a text with numbers, in the digits that the language is written with."""
    digits = _DIGITS.get(language)
    return (
        str(number) if digits is None else str(number).translate({ord(str(n)): digit for n, digit in enumerate(digits)})
    )


def local_number(number: int, language: str) -> str:
    """A number as the language writes it: "1,234", "1.234"."""
    return local_digits(format_decimal(number, locale=_LOCALE_OF.get(language, language)), language)


def local_share(part: int, of: int, language: str) -> str:
    """A share in percent, rounded down to a tenth, as the language writes it: "92.3%", "92,3 %".

    Rounded down, so that only all of them are 100%.
    """
    text = format_percent(part * 1_000 // of / 1_000, "#,##0.0%", locale=_LOCALE_OF.get(language, language))
    return local_digits(text, language)


def local_date(at: datetime, language: str) -> str:
    """The day of a local time, as the language writes it: "2 March 2026", "2026年3月2日"."""
    return local_digits(format_date(at, "long", locale=_LOCALE_OF.get(language, language)), language)


def local_time(at: datetime, language: str) -> str:
    """The hour and minute of a local time, as the language writes them: "13:00", "1:00 PM"."""
    return local_digits(format_time(at, "short", locale=_LOCALE_OF.get(language, language)), language)


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
