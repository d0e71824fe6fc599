# ruff: noqa: RUF001 - the look-alike characters that are folded
"""Text as tokens: one spelling for accents, case, digits and look-alike characters, each token with its position.

Scripts without spaces (Chinese, Japanese) give one token for each character.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

_FOLDED = str.maketrans(
    {
        **dict.fromkeys("ىیئ", "ي"),
        **{"ک": "ك", "ڪ": "ك", "ة": "ه", "ۀ": "ه", "ہ": "ه", "ھ": "ه", "ؤ": "و", "ٱ": "ا", "ـ": ""},
        **dict.fromkeys("’‘`´ʼ′", "'"),
        **dict.fromkeys("–—−‐‑‒―－", "-"),
        **dict.fromkeys("،、", ","),
        **{"。": ";", "؟": "?", "؛": ";", "٫": ".", "٪": "%", "「": '"', "」": '"', "『": '"', "』": '"'},
        **dict.fromkeys("“”„«»‹›‟", '"'),
        **{"〜": "~", "～": "~", "\u061c": "", "ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ı": "i", "ł": "l"},
        "✔": "✅",
        "☑": "✅",
    }
)
MAX_TOKENS = 300  # words, signs and ideographs that are read; the rest of a longer text is for a person
_MAX_FOLDED = 4  # characters that one becomes; a ligature of a whole sentence is no answer
_DROPPED = frozenset({"Mn", "Me", "Cf", "Sk"})
_KANA_MARKS = "\u3099\u309a\uff9e\uff9f"
_MARKED_KANA = re.compile(rf"(.)([{_KANA_MARKS}])", re.DOTALL)
# Hiragana, katakana, Han: one token for each character.
_SINGLE = r"\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(
    rf"[0-9]+|[{_SINGLE}]|n/a(?![a-z])|[^\W\d_{_SINGLE}](?:\.[^\W\d_{_SINGLE}](?![^\W\d_]))+\.?|[^\W\d_{_SINGLE}]+|\S"
)
_ENGLISH_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=(?:t|s|m|re|ve|ll|d)(?![^\W\d_]))")
_DASH_IN_WORD = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])")
_PERSIAN_PREFIX = re.compile(r"(?<![^\W\d_])(ن?مي) (?=[^\W\d_]{2})")


class Token(NamedTuple):
    """One word, number, sign or ideograph. `start` and `end` are positions in the original text."""

    text: str
    start: int
    end: int
    spaced: bool  # whether a space or a line end precedes it
    new_line: bool  # whether it begins a line


@lru_cache(maxsize=32_768)
def _folded(char: str) -> str:
    """One character in the common spelling: empty, or a few characters."""
    if char in "\n\r\u2028\u2029\x85":
        return "\n"
    plain = unicodedata.normalize("NFKC", char).casefold()
    if not plain.isascii():
        kept = []
        for part in plain:
            if "\u3040" <= part <= "\u30ff":
                kept.append(part)
                continue
            decimal = unicodedata.decimal(part, None)
            if decimal is not None:
                kept.append(str(decimal))
                continue
            kept += [one for one in unicodedata.normalize("NFKD", part) if unicodedata.category(one) not in _DROPPED]
        plain = "".join(kept).translate(_FOLDED)
    if any(unicodedata.category(one) in ("Cc", "Cs") for one in plain):
        return " "
    return " " if plain.isspace() else plain[:_MAX_FOLDED]


def fold(text: str) -> tuple[str, list[int]]:
    """The text in the common spelling, and for each of its characters the position in the original."""
    if text.isascii() and text.isprintable():
        return text.lower(), list(range(len(text)))
    if any(mark in text for mark in _KANA_MARKS):
        text = _MARKED_KANA.sub(_with_mark, text)
    folded = list(map(_folded, text))
    if set(map(len, folded)) == {1}:
        return "".join(folded), list(range(len(text)))
    return "".join(folded), [position for position, plain in enumerate(folded) for _ in plain]


def _with_mark(match: re.Match[str]) -> str:
    """A kana with its voice mark as one character, padded so that positions stay those of the original."""
    mark = "\u3099" if match[2] in "\u3099\uff9e" else "\u309a"
    whole = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", match[1]) + mark)
    return whole + "\u200b" if len(whole) == 1 else match[0]


def tokenise(text: str, most: int = MAX_TOKENS) -> list[Token]:
    """The tokens of a text, at most so many."""
    folded, origin = fold(text)
    if "'" in folded:
        folded, origin = _without(folded, origin, _ENGLISH_APOSTROPHE)
    if "-" in folded:
        folded = _DASH_IN_WORD.sub(" ", folded)
    if "مي " in folded:
        folded, origin = _joined_prefixes(folded, origin)
    tokens: list[Token] = []
    previous_end, in_new_line = 0, True
    for match in islice(_TOKEN.finditer(folded), most):
        start, end = match.span()
        gap = folded[previous_end:start]
        new_line = in_new_line or "\n" in gap
        word = match[0]
        if len(word) > 2 and word[1] == "." and word[0].isalpha():
            word = word.replace(".", "")
        elif word == "n/a":
            word = "na"
        tokens.append(Token(word, origin[start], origin[end - 1] + 1, bool(gap) or start == 0, new_line))
        previous_end, in_new_line = end, False
    return tokens


def _without(folded: str, origin: list[int], pattern: re.Pattern[str]) -> tuple[str, list[int]]:
    """The text without the matches, each of one character."""
    cut = {match.start() for match in pattern.finditer(folded)}
    if not cut:
        return folded, origin
    kept = [index for index in range(len(folded)) if index not in cut]
    return "".join(folded[index] for index in kept), [origin[index] for index in kept]


def _joined_prefixes(folded: str, origin: list[int]) -> tuple[str, list[int]]:
    cut = {match.end() - 1 for match in _PERSIAN_PREFIX.finditer(folded)}
    kept = [index for index in range(len(folded)) if index not in cut]
    return "".join(folded[index] for index in kept), [origin[index] for index in kept]


def words_of(phrase: str) -> tuple[str, ...]:
    """The tokens of a phrase of the vocabulary, a trailing "*" kept at its word."""
    folded = "".join(map(_folded, phrase))
    if folded.isascii() and folded.replace(" ", "").isalpha():
        return tuple(folded.split())
    parts: list[str] = []
    for token in tokenise(phrase):
        if token.text == "*" and parts and not token.spaced:
            parts[-1] += "*"
        else:
            parts.append(token.text)
    return tuple(parts)
