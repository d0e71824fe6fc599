"""Phone numbers as people write them, read as E.164 ("+33612345678") or not at all.

A wrong reading would send a question to a stranger. So a number without its country code is used only if a single
reading of it is possible.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberType, ValidationResult

_MISNAMED = {"UK": "GB", "EL": "GR"}  # codes in common use that are not those of ISO 3166
_MAX_LENGTH = 100  # characters; a longer text is no phone number
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_EXTENSION = re.compile(
    r"[\s,;(]*(?:\b(?:extension|extn|ext|poste|durchwahl|dw|interno|int|anexo|доб)\b|(?<=[\d\s)])x|#)[.:\s]*\d{1,7}\)?",
    re.IGNORECASE,
)
_AS_DECIMAL = re.compile(r"(?<=\d{8})\.0+(?!\d)")  # how spreadsheets export a column of numbers
# A number: digits and what people write between them, not part of a word.
_NUMBER = re.compile(r"(?<![\w.,])\(?\+?[\s(]*\d[\d\s().\-\u2010-\u2015/]{3,}\d\)?(?!\w)")
_BETWEEN_TWO = re.compile(r"/|\s{2,}|\s-\s")  # may also be written within one number
_BETWEEN_WORDS = re.compile(r"\s+")
_PLUS = re.compile(r"\(?\+")
_ABROAD = re.compile(r"\(?(?:\+\s*)?00\)?(?=[\s\-./(]*[1-9])")  # what most countries dial before a country code


def country_code(text: str | None) -> str | None:
    """The ISO 3166 code in "FR", "fr " or "UK"; None if it is no country with phone numbers."""
    if not text:
        return None
    code = text.strip().upper()
    code = _MISNAMED.get(code, code)
    return code if code in phonenumbers.SUPPORTED_REGIONS else None


@lru_cache(maxsize=4_096)
def country_of(number: str) -> str | None:
    """The ISO 3166 code of the country of a number as `e164` gives it; None if it belongs to none, such as a
    satellite's."""
    regions = _regions(number)
    if len(regions) == 1:  # of most country codes, and parsing the number again would be most of an order's intake
        return country_code(regions[0])
    parsed = _international(number)
    region = None if parsed is None else phonenumbers.region_code_for_number(parsed)
    return country_code(region)


def _regions(number: str) -> Sequence[str]:
    """The countries and territories that share the country code of a number in E.164."""
    codes = (int(number[1:end]) for end in (2, 3, 4))  # no code is the beginning of another
    found = (phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code) for code in codes)
    return next((regions for regions in found if regions), ())


@lru_cache(maxsize=4_096)
def e164(text: str, country: str | None = None) -> str | None:
    """The number in E.164; None if the text contains no number that can be written to.

    `country`: the country of a number without a country code. An extension is left out. Of several numbers it is the
    first that is not a landline, or else the first.
    """
    if len(text) > _MAX_LENGTH:
        return None
    if _E164.fullmatch(text):  # most are, and this takes half the time
        found = [number] if (number := _international(text)) is not None else []
    else:
        found = list(_numbers(_plain(text), country))
    if not found:
        return None
    return _formatted(found[0] if len(found) == 1 else next(filter(_may_be_mobile, found), found[0]))


# Numbers that reach the same phone in two spellings, by the plans of their countries. Providers and people use both.
_EQUIVALENT: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\+521(\d{10})"), r"+52\1"),  # Mexico: 1 before mobile numbers until 2019
    (re.compile(r"\+52(\d{10})"), r"+521\1"),
    (re.compile(r"\+549(\d{10})"), r"+54\1"),  # Argentina: 9 before mobile numbers from abroad
    (re.compile(r"\+54([1-8]\d{9})"), r"+549\1"),
    (re.compile(r"\+55([1-9]{2})9([6-9]\d{7})"), r"+55\1\2"),  # Brazil: 9 before mobile numbers since 2012
    (re.compile(r"\+55([1-9]{2})([6-9]\d{7})"), r"+55\g<1>9\2"),
)


def equivalents(number: str) -> tuple[str, ...]:
    """Other spellings in E.164 that reach the phone with this number."""
    return tuple(match.expand(other) for pattern, other in _EQUIVALENT if (match := pattern.fullmatch(number)))


def _plain(text: str) -> str:
    """The text without extensions and invisible characters, its digits those of ASCII."""
    visible = (char for char in text if unicodedata.category(char) != "Cf")
    digits = "".join(str(unicodedata.decimal(char, char)) for char in visible).replace("\uff0b", "+")
    return _EXTENSION.sub("", _AS_DECIMAL.sub("", digits))


def _numbers(text: str, country: str | None) -> Iterator[PhoneNumber]:
    """The numbers in a text, in their order."""
    for part in re.split(r"[;,|]|(?<=\d)(?=\+)", text):
        for written in _NUMBER.findall(part):
            for separator in (None, _BETWEEN_TWO, _BETWEEN_WORDS):
                pieces = [written] if separator is None else separator.split(written)
                found = [number for piece in pieces if (number := _read(piece.strip(), country)) is not None]
                yield from found
                if found:
                    break


def _read(written: str, country: str | None) -> PhoneNumber | None:
    """The only possible reading of one number; None if there is none, or more than one."""
    abroad = _ABROAD.match(written)
    if abroad:
        return _national(written, country) or _parse("+" + written[abroad.end() :], None)
    if _PLUS.match(written):
        return _parse(written, None)
    if written.lstrip("( ").startswith("0"):
        return _national(written, country)
    return _without_prefix(written, country)


def _without_prefix(written: str, country: str | None) -> PhoneNumber | None:
    """A number that begins neither with a zero nor with a plus: national, or international without its plus."""
    international = _plausible(_parse("+" + written, None))
    if country is None:
        return None if international is None or _is_national_somewhere(written, international) else international
    national = _national(written, country)
    if national is not None and not _is_usual(country) and not _may_be_mobile(national):
        national = None  # a landline without its leading zero is too likely to be something else
    if national is None or international is None or national == international:
        return national or international
    if _is_usual(country):
        return national
    return international if international.country_code == phonenumbers.country_code_for_region(country) else None


def _is_national_somewhere(written: str, international: PhoneNumber) -> bool:
    """Whether a country writes other numbers of its own in this way."""
    for country in sorted(phonenumbers.SUPPORTED_REGIONS):
        national = _parse(written, country)
        if national in (None, international) or not phonenumbers.is_valid_number(national):
            continue
        if _is_usual(country) or _may_be_mobile(national):
            return True
    return False


@lru_cache(maxsize=512)
def _is_usual(country: str) -> bool:
    """Whether people of that country write its numbers without a leading zero or another prefix."""
    metadata = PhoneMetadata.metadata_for_region(country)
    return metadata is not None and metadata.national_prefix in (None, "1")


def _national(written: str, country: str | None) -> PhoneNumber | None:
    """A number as people of that country dial it."""
    return None if country is None else _plausible(_parse(written, country))


@lru_cache(maxsize=64)  # the same number is read and its country looked up in turn
def _international(number: str) -> PhoneNumber | None:
    """A number that begins with its country code."""
    return _parse(number, None)


def _parse(written: str, country: str | None) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(written, country)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number(number):
        return number
    # A spelling that its plan no longer has, as "+521" of Mexico, is that of today.
    today = equivalents(_formatted(number))
    return phonenumbers.parse(today[0]) if today else None


def _plausible(number: PhoneNumber | None) -> PhoneNumber | None:
    """The number if it is in use or as long as a mobile number, so that numbers of films and examples count, too."""
    if number is None or phonenumbers.is_valid_number(number):
        return number
    length = phonenumbers.is_possible_number_for_type_with_reason(number, PhoneNumberType.MOBILE)
    return number if length == ValidationResult.IS_POSSIBLE else None


def _may_be_mobile(number: PhoneNumber) -> bool:
    return phonenumbers.number_type(number) != PhoneNumberType.FIXED_LINE


def _formatted(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
