"""The vocabularies of all languages as one table of phrases, and the search for them in a text.

At each position the longest phrase counts. If it means different things in different languages, the language that most
of the text belongs to decides, so nobody has to say which language a text is in.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple, TypeAlias

from pipeline.domain.answers.reading.phrases import STEM_HEAD, UNSPACED, Node, add, add_phrase
from pipeline.domain.answers.reading.tokens import Token, words_of

LANGUAGES: Final = ("en", "es", "fr", "de", "pt", "zh", "ja", "ar", "fa", "signs")
_MAX_TYPO_SEARCHES = 25  # of one text: words that are in no vocabulary and may be misspelled
_MIN_TYPO_LENGTH = 5
_MAX_WORD = 24  # characters of a word that are compared
_STEM = "*"
_REPEATED = re.compile(r"(.)\1")
# Words that others are not taken for: a text that is about something else must not become one about a truck.
_SPELLED_RIGHT = (
    *("vehicle", "place", "goods", "packages", "unit", "day", "service", "product", "praise", "action", "subject"),
    *("closing", "away", "later", "reaction", "quoted", "limit", "modal", "detail", "or", "and", "range", "number"),
)
_MOST_AFTER_PARTICIPLE = 2  # letters: "dobrado", "dobradas", but not "dobradiça", a hinge
_MOST_MISSPELLED = 2  # languages of a text in which a word may be misspelled
_MAX_BRANCHES = 32  # patterns and misspelled words that are followed at a time
_SET_PHRASES = ("stop_phrase", "help_phrase", "auto", "wrong_number")  # read as a whole wherever they begin
_ANSWERS = ("yes", "no", "ok")  # in scripts without spaces: only where a sentence begins


_OWN_LETTERS = {
    "es": frozenset("ñ¿¡íóúá"),
    "pt": frozenset("ãõâêô"),
    "de": frozenset("äöüß"),
    "fr": frozenset("èêàùœî"),
    "ar": frozenset("يكةىأإؤ"),
    "fa": frozenset("یکۀ"),
}
_OWN_LETTERS_WEIGHT = 0.5
_KANA = frozenset(map(chr, range(0x3041, 0x30FB)))
_PERSIAN = frozenset("پچژگ")


Matches: TypeAlias = dict[int, dict[str, tuple[str, ...]]]
_NO_MATCHES: Matches = {}


class Found(NamedTuple):
    """A phrase, or a single token without a meaning. `first` and `last` are indexes of tokens, `last` excluded."""

    meanings: frozenset[str]
    first: int
    last: int
    language: str | None
    number: int | None = None


class Lexicon(NamedTuple):
    """The table of phrases, number words by language, the index for misspelled words, and affixes by language."""

    root: Node
    numbers: Mapping[str, Mapping[str, int]]
    misspelled: Mapping[str, tuple[str, ...]]
    words: frozenset[str]
    prefixes: frozenset[str]
    suffixes: frozenset[str]
    closings: frozenset[str]  # first words of closings
    sending: tuple[str, ...]  # beginnings of verbs of sending
    messages: frozenset[str]  # single words for what we send
    short: Mapping[str, str]  # words as people shorten them, and what they stand for


@cache
def lexicon() -> Lexicon:
    """All vocabularies, loaded when first needed."""
    root = Node()
    numbers: dict[str, dict[str, int]] = {}
    words: set[str] = set()
    closings: set[str] = set()
    guessed: set[str] = set()
    sending: set[str] = set()
    messages: set[str] = set()
    short: dict[str, str] = {}
    affixes: dict[str, list[str]] = {"prefixes": [], "suffixes": []}
    for language in LANGUAGES:
        data = _data(language)
        for name, text in ((name, text) for section in data.values() for name, text in section.items()):
            if name in affixes:
                affixes[name] += [word for part in text.split("/") for word in words_of(part)]
            elif name == "numbers":
                numbers[language] = _number_words(text)
            elif name == "short":
                short.update(_short_words(text))
            elif name == "sending":
                sending.update(word for part in text.split("/") for word in words_of(part))
            else:
                for phrase in add(root, text, language, name):
                    words.update(phrase)
                    if name not in _SPELLED_RIGHT:
                        guessed.update(phrase)
                    if name == "closing" and phrase:
                        closings.add(phrase[0])
                    if name == "message" and len(phrase) == 1:
                        messages.add(phrase[0])
        for name in numbers[language]:
            phrase = tuple(name.split(" "))
            add_phrase(root, phrase, language, "number")
            words.update(phrase)
    known = frozenset(word for word in words if not word.endswith(_STEM))
    prefixes, suffixes = (frozenset(affixes[name]) for name in ("prefixes", "suffixes"))
    return Lexicon(
        root,
        numbers,
        _misspellings(guessed & known),
        known,
        prefixes,
        suffixes,
        frozenset(closings),
        tuple(sorted(sending)),
        frozenset(messages),
        short,
    )


def _data(language: str) -> dict[str, dict[str, str]]:
    return tomllib.loads(
        files("pipeline.domain.answers.reading").joinpath("languages", f"{language}.toml").read_text(encoding="utf-8")
    )


def _number_words(text: str) -> dict[str, int]:
    """The words of 0, 1, 2, ... in their order; "|" separates words for one number."""
    found: dict[str, int] = {}
    for value, names in enumerate(text.split("/")):
        for name in names.split("|"):
            parts = words_of(name)
            if parts:
                found[" ".join(parts)] = value
    return found


def _short_words(text: str) -> dict[str, str]:
    """The words in "tt=tout / jms=jamais"."""
    pairs = (part.partition("=") for part in text.split("/"))
    return {words_of(short)[0]: words_of(full)[0] for short, _, full in pairs if short.strip() and full.strip()}


def _misspellings(words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The words by each spelling that lacks one of their characters."""
    found: dict[str, list[str]] = defaultdict(list)
    for word in words:
        if _MIN_TYPO_LENGTH - 1 <= len(word) <= _MAX_WORD and word.isalpha():
            for spelling in {word, *_shorter(word)}:
                found[spelling].append(word)
    return {spelling: tuple(sorted(many)) for spelling, many in found.items()}


def _shorter(word: str) -> set[str]:
    return {word[:index] + word[index + 1 :] for index in range(len(word))}


class Matcher:
    """Finds the phrases of one text."""

    def __init__(self, text: str, tokens: Sequence[Token], hint: str | None) -> None:
        self._lexicon = lexicon()
        self._text = text
        self._tokens = tokens
        self._typo_searches = 0
        self._spellings: dict[str, tuple[str, ...]] = {}
        self._first_steps: dict[str, list[Node]] = {}
        self._found = [self._matches(index) for index in range(len(tokens))]
        self.languages = self._ranked(hint)

    def items(self) -> list[Found]:
        """The text as a sequence of phrases and single tokens."""
        items: list[Found] = []
        index = 0
        while index < len(self._tokens):
            item = self._best(index)
            items.append(item)
            index = item.last
        return items

    def _best(self, index: int) -> Found:
        matches = self._found[index]
        if matches:
            length = self._length(index, matches)
            known = self._tokens[index].text in self._lexicon.words or not self._tokens[index].text.isalpha()
            if len(self._tokens) == 1 and length == 1:
                for language, names in matches[1].items():
                    if "number" in names and language not in UNSPACED:
                        return self._item(index, 1, language, names)
            by_language = matches[length] if length else {}
            for language in self.languages if known else self.languages[:_MOST_MISSPELLED]:
                if language in by_language:
                    return self._item(index, length, language, by_language[language])
        token = self._tokens[index].text
        number = int(token) if token.isdigit() and token.isascii() and len(token) < 7 else None
        meanings = frozenset({"digits"}) if token.isdigit() and token.isascii() else frozenset()
        return Found(meanings, index, index + 1, None, number)

    def _length(self, index: int, matches: Matches) -> int:
        """The length of the phrase that counts: the longest, unless it would cut off the start of a set phrase."""
        length = max(matches)
        if length == 1:
            return 1
        for later in range(index + 1, index + length):
            for reach, by_language in self._found[later].items():
                if later + reach > index + length and any(
                    name in _SET_PHRASES for names in by_language.values() for name in names
                ):
                    return max((one for one in matches if index + one <= later), default=0)
        return length

    def _item(self, index: int, length: int, language: str, names: tuple[str, ...]) -> Found:
        number = None
        if "number" in names:
            words = self._lexicon.numbers[language]
            if length > 1:
                number = words.get(" ".join(token.text for token in self._tokens[index : index + length]))
            else:
                number = next(
                    (words[one] for one in self._spellings_of(self._tokens[index].text) if one in words), None
                )
        return Found(frozenset(names), index, index + length, language, number)

    def _matches(self, index: int) -> Matches:
        """What the phrases that begin at a token mean, by their length and language."""
        first = self._tokens[index].text
        nodes = self._first_steps.get(first)
        if nodes is None:
            nodes = self._first_steps[first] = self._steps(self._lexicon.root, first)
        if not nodes:
            return _NO_MATCHES
        found: Matches = {}
        length = 1
        while nodes:
            for node in nodes:
                if node.meanings:
                    self._note(found, index, length, node)
            position = index + length
            if position == len(self._tokens):
                break
            token = self._tokens[position].text
            nodes = [
                after
                for node in nodes[:_MAX_BRANCHES]
                if node.next or node.patterns or node.stems
                for after in self._steps(node, token)
            ]
            length += 1
        return found

    def _note(self, found: Matches, index: int, length: int, node: Node) -> None:
        by_language = found.setdefault(length, {})
        for language, names in node.meanings.items():
            if language in UNSPACED and self._is_inside(index):
                names = tuple(name for name in names if name not in _ANSWERS)
            if names:
                known = by_language.get(language)
                by_language[language] = tuple(dict.fromkeys((*known, *names))) if known else names
        if not by_language:
            del found[length]

    def _is_inside(self, index: int) -> bool:
        """Whether a token stands within a run of characters without spaces."""
        if index == 0 or self._tokens[index].spaced:
            return False
        return self._tokens[index - 1].text[-1] > "\u3000"

    def _steps(self, node: Node, token: str) -> list[Node]:
        after: list[Node] = []
        for spelling in self._spellings.get(token) or self._spellings_of(token):
            one = node.next.get(spelling)
            if one is not None:
                after.append(one)
            if node.patterns:
                after += node.patterns.get(spelling, ())
        if node.stems and len(token) > STEM_HEAD and token[:STEM_HEAD] in node.heads:
            for end in range(min(len(token), _MAX_WORD), 1, -1):
                one = node.stems.get(token[:end])
                if one is not None:
                    if token[end - 1] != "d" or len(token) - end <= _MOST_AFTER_PARTICIPLE:
                        after.append(one)
                    break
        return after

    def _spellings_of(self, token: str) -> tuple[str, ...]:
        """The token, or if no vocabulary has it the words that it may be meant for."""
        found = self._spellings.get(token)
        if found is None:
            full = self._lexicon.short.get(token)
            if full is not None and len(self._tokens) > 1:
                found = (token, full)
            elif token in self._lexicon.words or len(token) < 2 or not token[0].isalpha():
                found = (token,)
            else:
                found = (token, *self._guesses(token[:_MAX_WORD]))
            self._spellings[token] = found
        return found

    def _guesses(self, token: str) -> list[str]:
        words = self._lexicon.words
        if _REPEATED.search(token):
            stretched = {_squeezed(token, 2), _squeezed(token, 1)}
            guesses = [one for one in sorted(stretched) if one != token and one in words]
            if guesses:
                return guesses
        guesses = []
        if not token.isascii():
            guesses = [one for one in self._without_affixes(token) if one in words]
        if not guesses and len(token) >= _MIN_TYPO_LENGTH - 1 and self._typo_searches < _MAX_TYPO_SEARCHES:
            self._typo_searches += 1
            guesses = _nearest(token, self._lexicon.misspelled)
        return guesses[:4]

    def _without_affixes(self, token: str) -> list[str]:
        """The token without an article, a preposition or a pronoun that is written as part of it."""
        starts = [token, *(token[size:] for size in (1, 2, 3) if token[:size] in self._lexicon.prefixes)]
        found = []
        for start in starts:
            found.append(start)
            found += [start[:-size] for size in (1, 2, 3, 4) if start[-size:] in self._lexicon.suffixes]
        return [one for one in found if len(one) >= 2]

    def _ranked(self, hint: str | None) -> tuple[str, ...]:
        """The languages, the one that explains most of the text first."""
        score = dict.fromkeys(LANGUAGES, 0.0)
        for index, matches in enumerate(self._found):
            if matches:
                length = max(matches)
                weight = (length + min(len(self._tokens[index].text), 6) / 10) / len(matches[length])
                for language in matches[length]:
                    score[language] += weight
        letters = set(self._text.lower())
        for language in _by_script(letters):
            score[language] += 100
        for language, own in _OWN_LETTERS.items():
            score[language] += _OWN_LETTERS_WEIGHT * bool(own & letters)
        if hint in score:
            score[hint] += 0.3
        return tuple(sorted(LANGUAGES, key=lambda language: (-score[language], LANGUAGES.index(language))))


def _by_script(letters: set[str]) -> list[str]:
    """The languages whose script a text is in, where the script alone says so."""
    if letters & _KANA:
        return ["ja"]
    return ["fa"] if letters & _PERSIAN else []


def _squeezed(word: str, most: int) -> str:
    """The word with no letter more than `most` times in a row."""
    kept: list[str] = []
    for char in word:
        if kept[-most:] != [char] * most:
            kept.append(char)
    return "".join(kept)


def _nearest(token: str, misspelled: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The words at one insertion, deletion, replacement or swap of neighbours from a token; same first letter only."""
    found: list[str] = []
    for spelling in (token, *sorted(_shorter(token))):
        for word in misspelled.get(spelling, ()):
            if word not in found and word[0] == token[0] and _one_edit(token, word):
                found.append(word)
    return found


def _one_edit(first: str, second: str) -> bool:
    if abs(len(first) - len(second)) > 1:
        return False
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    rest_one, rest_two = first[start:], second[start:]
    if rest_one[:2] == rest_two[:2][::-1] and rest_one[2:] == rest_two[2:]:
        return True
    if min(len(first), len(second)) < _MIN_TYPO_LENGTH:
        return False
    return rest_one[1:] == rest_two[1:] or rest_one[1:] == rest_two or rest_one == rest_two[1:]
