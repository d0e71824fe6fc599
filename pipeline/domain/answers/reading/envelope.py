"""What a person wrote, apart from what devices add: quotes of our text, signatures, automatic replies, reactions."""

import re
from typing import NamedTuple

from pipeline.domain.answers.reading.lexicon import lexicon
from pipeline.domain.answers.reading.passage import Passage, passage
from pipeline.domain.answers.reading.tokens import fold

_LOOKED_AT = 300  # characters in which an automatic reply or a reaction shows itself
_HEAD, _TAIL = 400, 200  # characters of a long line that are examined
_MAX_LINES = 60  # lines that are examined one by one
# Our questions list their options in this order, whatever the language.
_OPTIONS = re.compile(
    r"(?<!\d)1[ .):=]+[^\W\d][^\n1-4]{0,60}2[ .):=]+[^\W\d][^\n1-4]{0,60}3[ .):=]+[^\W\d][^\n1-4]{0,60}4[ .):=]+[^\W\d]"
)
_OPTION_FOUR = re.compile(r"\s4[ .):=]+[^\n]*$")
_RULER = re.compile(r"^\s*(?:-{2,}|_{2,}|={2,}|\*{3,}|[\u2014\u2015\u2500]{2,})\s*$")
_SIGNATURE = re.compile(r"^\s*(?:-- ?$|-{2,}\s*\S|[\u2014\u2015\u2013]{1,3}\s*\S)")
_PART_COUNTER = re.compile(r"[\[(]\s*\d{1,2}\s*/\s*\d{1,2}\s*[\])]")
_QUOTE = re.compile(r"[\"\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\u300e\u300f\u2018\u201f\u2039]")
_CODE = re.compile(
    r"\{\{|\}\}|\$\{|<%|<\s*/?\s*[a-z][a-z0-9]*[\s/>:]|javascript:|</|\bunion\s+select\b|\bdrop\s+table\b|'\s*or\s+'?1|"
    r"--\s*$|;\s*(?:drop|delete|update|select)\b|^\s*[=@][a-z]+[(|]|\$\(|`[^`]+`|\{%|#\{|\.\./|\bon\w+\s*=|^=\d|^\s*[=+@-]\s*(?:cmd|hyperlink|sum|dde)",
    re.IGNORECASE,
)
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_WORD = re.compile(r"[^\W\d_]+")
_MAX_CLOSING = 80  # characters of the line of a closing
_MOST_REACTION_WORDS = 9


class Envelope(NamedTuple):
    """The writer's own words; `automatic` if a device wrote the text, `injected` if it is code for a machine."""

    words: str
    automatic: bool = False
    injected: bool = False


def opened(text: str, hint: str | None) -> tuple[Envelope, Passage]:
    """Take a text out of what devices put around it."""
    clean = _CONTROL_CHARACTERS.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n"))
    words = _own_words(clean)
    parts = passage(words, hint)
    whole = parts if words == clean else passage(clean[:_LOOKED_AT], hint)
    if _is_reaction(clean, whole) or _is_automatic(whole):
        return Envelope("", automatic=True), whole
    injected = bool(_CODE.search(words)) or parts.says("injection")
    return Envelope(words, injected=injected), parts


def _is_automatic(whole: Passage) -> bool:
    if not whole.says("auto", "later"):
        return False
    said = {name for part in whole.parts if part.start < _LOOKED_AT for name in part.meanings}
    return "auto" in said or {"away", "later"} <= said


def _is_reaction(text: str, whole: Passage) -> bool:
    """A phone's reaction: a few words around a quote. Its first words or its last name the reaction."""
    quotes = [match.start() for match in _QUOTE.finditer(text[:2_000])]
    if not quotes:
        return False
    start = quotes[0]
    end = quotes[-1] if len(quotes) > 1 else len(text)
    quoted = text[start + 1 : end]
    outside = [part for part in whole.parts if not start <= part.start <= end and not part.is_sign]
    if len(quoted.strip()) < 3 or len(outside) > _MOST_REACTION_WORDS * (3 if "\u3040" < text[-1:] < "\u9fff" else 1):
        return False
    only_signs = bool(outside) and all(
        part.means("emoji", "light", "or", "and") or not part.text.isalnum() for part in outside
    )
    named = any(part.means("reaction") for part in outside) or only_signs
    ours = len(quoted) >= 25 and (bool(_OPTIONS.search(fold(quoted)[0])) or "/f/" in quoted or "STOP" in quoted)
    return (named or ours) and not any(part.means("stop_first", "missing", "damaged", "wrong") for part in outside)


def _own_words(text: str) -> str:
    """The text without quoted lines and our own question, and without what follows a signature or a quote's heading."""
    lines = text.strip().split("\n", _MAX_LINES)
    kept, quoted = _sifted(lines)
    if not any(line.strip() for line in kept) and quoted:
        kept, _ = _sifted([line.lstrip("> ") for line in quoted])
    return _PART_COUNTER.sub(" ", "\n".join(kept)).strip()


def _sifted(lines: list[str]) -> tuple[list[str], list[str]]:
    """The lines that are the writer's own, and those that are quoted."""
    kept: list[str] = []
    quoted: list[str] = []
    for line in lines:
        plain = _plain(line)
        if plain.startswith(">"):
            quoted.append(line)
        elif plain == "--" and any(one.strip() for one in kept):
            break
        elif _OPTIONS.search(plain) or _RULER.match(line):
            continue
        elif _ends_own_words(line, plain, any(one.strip() for one in kept)):
            break
        else:
            kept.append(line)
            if _ends_with_closing(plain):
                break
    return kept, quoted


def _plain(line: str) -> str:
    """A line in the common spelling; of a long one its beginning and its end, where devices write."""
    if len(line) <= _HEAD + _TAIL:
        return fold(line)[0].strip()
    return (fold(line[:_HEAD])[0] + fold(line[-_TAIL:])[0]).strip()


def _ends_own_words(line: str, plain: str, has_words: bool) -> bool:
    """Whether a line heads a quote, or after some words a signature."""
    if plain.endswith(":") and _heads_quote(plain):
        return True
    return has_words and (bool(_SIGNATURE.match(line)) or _is_closing(plain))


def _heads_quote(plain: str) -> bool:
    return any(part.means("quoted") for part in passage(plain[-200:], None).parts)


def _ends_with_closing(plain: str) -> bool:
    """Whether a line of some words ends with a closing, so that a signature follows."""
    if len(plain) > _MAX_CLOSING or plain.isascii():
        return False
    parts = [part for part in passage(plain, None).parts if not part.is_sign]
    return len(parts) > 1 and parts[-1].means("closing")


def _is_closing(plain: str) -> bool:
    """Whether a line is a closing: it begins with one and has few other words."""
    first = _WORD.match(plain)
    if len(plain) > _MAX_CLOSING or first is None or (first[0].isascii() and first[0] not in lexicon().closings):
        return False
    parts = [part for part in passage(plain, None).parts if not part.is_sign]
    return (
        bool(parts)
        and parts[0].means("closing")
        and not any(part.means("late", "missing", "damaged") for part in parts)
    )
