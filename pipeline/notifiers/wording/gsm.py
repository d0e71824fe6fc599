"""Length of a text message as carriers count it, and characters that make it longer (3GPP TS 23.038, GSM alphabet)."""

import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from math import ceil

_SEGMENT, _PART = 160, 153  # characters of the GSM alphabet: in a single message, in each part of a longer one
_WIDE_SEGMENT, _WIDE_PART = 70, 67  # UTF-16 code units, as soon as one character is not in the GSM alphabet
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENSION = frozenset("^{}\\[~]|€\f")  # each counts as two characters
_ALPHABET = _GSM | _GSM_EXTENSION
# Characters that Unicode does not decompose, and their plain counterparts.
_PLAIN: Mapping[str, str] = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u2035\u02b9\u02bb\u02bc\u02bd\u00b4\u0060\u2039\u203a", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\u2022\u00b7", "-"),
    **dict.fromkeys("\u2044\u2215", "/"),
    **dict(zip("łŁđĐðÐħĦŧŦıĸŋŊ", "lLdDdDhHtTiknN", strict=True)),
    **{"œ": "oe", "Œ": "OE", "þ": "th", "Þ": "Th", "ẞ": "SS"},
    **{"\u00a9": "(c)", "\u00ae": "(R)", "\u00d7": "x", "\u00b0": "o", "\u2116": "No."},
}


def plain(text: str) -> str:
    """The text with characters outside the GSM alphabet replaced by plain ones: quotes, dashes, spaces, accents.

    Unchanged if a character remains that has no plain counterpart: the text then costs the same in any spelling.
    """
    replaced = "".join(map(_replaced, unicodedata.normalize("NFC", text)))
    return text if unsupported(replaced) else replaced


def unsupported(text: str) -> list[str]:
    """The characters of a text that the GSM alphabet lacks, each once."""
    return [character for character in dict.fromkeys(text) if character not in _ALPHABET]


@lru_cache(maxsize=1_024)
def _replaced(character: str) -> str:
    if character in _ALPHABET:
        return character
    if unicodedata.category(character) in ("Cf", "Mn"):  # invisible, or an accent of the character before it
        return ""
    if character.isspace():
        return " "
    parts = _PLAIN.get(character) or unicodedata.normalize("NFKD", character)
    simple = "".join(_PLAIN.get(part, part) for part in parts if unicodedata.category(part) != "Mn")
    return character if unsupported(simple) else simple


def segments(text: str) -> int:
    """The number of message segments that a carrier cuts the text into, and charges for."""
    if unsupported(text):
        length = len(text.encode("utf-16-le")) // 2
        return 1 if length <= _WIDE_SEGMENT else ceil(length / _WIDE_PART)
    length = sum(2 if character in _GSM_EXTENSION else 1 for character in text)
    return 1 if length <= _SEGMENT else ceil(length / _PART)
