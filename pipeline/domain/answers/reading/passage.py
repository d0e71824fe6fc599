"""A text as a sequence of phrases with their meanings, divided into clauses."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pipeline.domain.answers.reading.lexicon import Found, Matcher
from pipeline.domain.answers.reading.tokens import Token, tokenise

_SENTENCE_ENDS = frozenset(".!?;\u2026")
_COMMAS = frozenset(',:()[]"/|*>=_')

# Meanings that add nothing to what the codes say: courtesies, function words, and the codes' own words.
EMPTY = frozenset(
    {
        *("yes", "no", "ok", "all_good", "on_time", "early", "late", "not_late", "arrived", "not_received", "complete"),
        *("not_yet", "every", "unreal", "agreed", "decimal"),
        *("missing", "damaged", "wrong", "papers", "intact", "problem", "not", "not_after", "but", "correct", "and"),
        *("or", "thanks", "greeting", "please", "light", "goods", "score_word", "full_marks", "range", "approx"),
        *("likely", "nothing_more", "closing"),
        *("time_noun", "amount_noun", "fits", "off", "instead", "mistyped", "past", "attribute"),
        *("packages", "this_time", "sarcasm", "score_of", "because", "only", "rest", "emoji", "scale_first"),
        *("half_more", "off_scale", "except"),
    }
)
VERB_LAST = ("ja", "fa")  # languages whose verb, and so its negation, comes last
CONTROLS = ("stop", "stop_first", "stop_phrase", "start", "start_phrase", "help", "help_phrase")
# Meanings that always add something, even where the same word may also be empty.
SAYS_MORE = frozenset(
    {
        "unit",
        "day",
        "hours",
        "counting",
        "aside",
        "other_time",
        "wrong_number",
        "injection",
        "partial",
        "someone_else",
        "colour",
    }
)


class Part(NamedTuple):
    """A phrase of a passage, or a single word, number or sign. `start` and `end` are positions in the text."""

    meanings: frozenset[str]
    text: str
    start: int
    end: int
    number: int | None
    digits: str | None
    language: str | None
    spaced: bool
    new_line: bool
    is_sign: bool  # punctuation or another sign, without a meaning

    def means(self, *names: str) -> bool:
        """Whether it has one of these meanings."""
        return bool(self.meanings) and not self.meanings.isdisjoint(names)

    @property
    def ends_sentence(self) -> bool:
        """Whether a sentence ends with it."""
        return self.is_sign and self.text in _SENTENCE_ENDS

    @property
    def ends_clause(self) -> bool:
        """Whether a clause ends with it."""
        return self.is_sign and (self.text in _SENTENCE_ENDS or self.text in _COMMAS or self.text == "-")


class Passage(NamedTuple):
    """The parts of a text, the languages it may be in, best first, and all that its parts mean."""

    parts: list[Part]
    languages: tuple[str, ...]
    said: frozenset[str]  # all meanings in the text

    def says(self, *names: str) -> bool:
        """Whether some part has one of these meanings."""
        return not self.said.isdisjoint(names)

    def sentences(self) -> list[list[Part]]:
        """The parts by sentence; a line end ends a sentence, too."""
        return split(self.parts, lambda part: part.ends_sentence)


def passage(text: str, hint: str | None) -> Passage:
    """The passage that a text is. `hint`: the language of its writer as others say; it decides only ties."""
    tokens = tokenise(text)
    matcher = Matcher(text, tokens, (hint or "").replace("_", "-").partition("-")[0].lower() or None)
    parts = [_part(found, tokens) for found in matcher.items()]
    return Passage(parts, matcher.languages, frozenset[str]().union(*{part.meanings for part in parts}))


def _part(found: Found, tokens: Sequence[Token]) -> Part:
    meanings, start, end, language, number = found
    text, at, last, spaced, new_line = tokens[start]
    digits = text if "digits" in meanings else None
    if end - start > 1:
        text, last = " ".join([one.text for one in tokens[start:end]]), tokens[end - 1].end
    is_sign = not meanings and not text[0].isalnum()
    return Part(meanings, text, at, last, number, digits, language, spaced, new_line, is_sign)


def split(parts: Iterable[Part], ends: Callable[[Part], bool]) -> list[list[Part]]:
    """The parts in groups that end after each part for which `ends` holds, and at line ends."""
    groups: list[list[Part]] = [[]]
    for part in parts:
        if part.new_line and groups[-1]:
            groups.append([])
        groups[-1].append(part)
        if ends(part):
            groups.append([])
    return [group for group in groups if group]
