"""Length of a text message as carriers count it (3GPP TS 23.038, the GSM 7-bit default alphabet)."""

from math import ceil

_SEGMENT, _PART = 160, 153  # characters of the GSM alphabet: in a single message, in each part of a longer one
_WIDE_SEGMENT, _WIDE_PART = 70, 67  # UTF-16 code units, as soon as one character is not in the GSM alphabet
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENSION = frozenset("^{}\\[~]|€\f")  # each counts as two characters


def segments(text: str) -> int:
    """The number of message segments that a carrier cuts the text into, and charges for."""
    if any(character not in _GSM and character not in _GSM_EXTENSION for character in text):
        length = len(text.encode("utf-16-le")) // 2
        return 1 if length <= _WIDE_SEGMENT else ceil(length / _WIDE_PART)
    length = sum(2 if character in _GSM_EXTENSION else 1 for character in text)
    return 1 if length <= _SEGMENT else ceil(length / _PART)
