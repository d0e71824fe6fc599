"""Phrases and patterns of the vocabularies as one graph of words.

A value of a vocabulary lists phrases, separated by "/". A pattern is a phrase with alternatives: "{a|b} c" stands for
"a c" and "b c", "{|a }b" for "b" and "a b". Patterns stay small in memory, because the ways through one group of
alternatives meet again before the next.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, product
from math import prod
from typing import Final

from pipeline.domain.answers.reading.tokens import words_of

UNSPACED: Final = ("ja", "zh")  # languages written without spaces
_ANY_ENDING = "*"
_MOST_SPELLED_OUT = 64  # phrases of a pattern that are added one by one: alternatives may then end within a word
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


class Node:
    """What may follow the words so far, and what they mean if the phrase ends here."""

    __slots__ = ("heads", "meanings", "next", "patterns", "stems")

    def __init__(self) -> None:
        self.next: dict[str, Node] = {}
        self.stems: dict[str, Node] = _NO_NODES  # words of which only the beginning is given
        self.heads: set[str] = _NO_HEADS  # how the words of `stems` begin, so that few words are compared with them
        self.patterns: dict[str, list[Node]] = _NO_PATTERNS
        self.meanings: dict[str, tuple[str, ...]] = _NO_MEANINGS


STEM_HEAD: Final = 2  # letters
_NO_HEADS: Final[set[str]] = set()
_NO_NODES: Final[dict[str, Node]] = {}
_NO_PATTERNS: Final[dict[str, list[Node]]] = {}
_NO_MEANINGS: Final[dict[str, tuple[str, ...]]] = {}


def add(root: Node, text: str, language: str, name: str) -> Iterator[tuple[str, ...]]:
    """Add the phrases of a value, which mean `name`. Yields the words, phrase by phrase."""
    for phrase in text.split("/"):
        for spelling in _spellings(phrase, language):
            pieces = [piece.split("|") for piece in spelling.replace("}", "{").split("{")]
            if len(pieces) == 1 or (language not in UNSPACED and prod(map(len, pieces)) <= _MOST_SPELLED_OUT):
                for one in product(*pieces):
                    words = words_of("".join(one))
                    if words:
                        add_phrase(root, words, language, name)
                        yield words
            else:
                groups = [[words_of(one) for one in piece] for piece in pieces]
                _add_pattern(root, groups, language, name)
                yield from chain.from_iterable(groups)


def _spellings(phrase: str, language: str) -> list[str]:
    if language == "de" and any(umlaut in phrase for umlaut in "äöü"):
        return [phrase, phrase.translate(_UMLAUTS)]
    return [phrase]


def add_phrase(root: Node, phrase: Sequence[str], language: str, name: str) -> None:
    """Add one phrase, which means `name`."""
    node = root
    for word in phrase:
        node = _after(node, word)
    _mean(node, language, name)


def _add_pattern(root: Node, groups: Sequence[Sequence[tuple[str, ...]]], language: str, name: str) -> None:
    starts = [root]
    for group in groups:
        alternatives = [words for words in group if words]
        if not alternatives:
            continue
        meeting = Node()
        for start in starts:
            for words in alternatives:
                _lead(start, words, meeting)
        starts = [meeting, *(starts if () in group else [])]
    for node in starts:
        if node is not root:
            _mean(node, language, name)


def _lead(start: Node, words: Sequence[str], meeting: Node) -> None:
    """Let words lead from one node to another."""
    for word in words[:-1]:
        start = _after(start, word)
    if start.patterns is _NO_PATTERNS:
        start.patterns = {}
    start.patterns.setdefault(words[-1], []).append(meeting)


def _after(node: Node, word: str) -> Node:
    if word.endswith(_ANY_ENDING) and len(word) > 1:
        if node.stems is _NO_NODES:
            node.stems, node.heads = {}, set()
        node.heads.add(word[:STEM_HEAD])
        return node.stems.setdefault(word[:-1], Node())
    after = node.next.get(word)
    if after is None:
        after = node.next[word] = Node()
    return after


def _mean(node: Node, language: str, name: str) -> None:
    known = node.meanings.get(language, ())
    if name not in known:
        node.meanings = {**node.meanings, language: (*known, name)}
