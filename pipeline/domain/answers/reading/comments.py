"""Labels of comments: what a customer's words are about, several labels a comment, each with its place in the text.

Written for comments of any length, from texts, forms and reviews. A label is no code: it changes no answer. "Late"
needs a promise that was not kept; that a delivery took long is no label.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal, get_args

from msgspec import Struct

from pipeline.domain.answers.parsed_reply import MAX_TEXT
from pipeline.domain.answers.reading.clauses import Stated
from pipeline.domain.answers.reading.facts import stated
from pipeline.domain.answers.reading.passage import Part, Passage, passage

CommentLabel = Literal[
    "not_received",
    "late",
    "incomplete",
    "damaged",
    "wrong_item",
    "papers",
    "service",
    "product",
    "praise",
]
LABELS: Final[tuple[CommentLabel, ...]] = get_args(CommentLabel)
_OF_FACT: dict[str, CommentLabel] = {
    "not_received": "not_received",
    "late": "late",
    "incomplete": "incomplete",
    "damaged": "damaged",
    "wrong_item": "wrong_item",
    "papers_missing": "papers",
}
_OF_WORD: tuple[CommentLabel, ...] = ("service", "product", "praise")
_OF_WHAT_CAME = ("incomplete", "damaged", "wrong_item")
_AFTER_NOT_RECEIVED = 4  # parts in which an answer or a refund may be what was not received
_BEFORE_PRAISE = 3  # parts in which a negation turns praise around


class Labelled(Struct, frozen=True, array_like=True):
    """A label and the words behind it: positions in the comment, `end` excluded."""

    label: CommentLabel
    start: int
    end: int


class CommentReader:
    """Labels comments in any of the languages. Stateless."""

    def read(self, text: str, language: str | None = None) -> list[Labelled]:
        """The labels of a comment, each once, at the first words behind it, in the order of `LABELS`.

        `language`: that of the writer, as a hint (BCP 47).
        """
        words = passage(text[:MAX_TEXT], language)
        found: dict[CommentLabel, Labelled] = {}
        for one in (*_of_facts(words), *_of_words(words)):
            found.setdefault(one.label, one)
        if "late" not in found and "not_received" in found:
            promise = next((part for part in words.parts if part.means("deadline", "due")), None)
            if promise is not None:
                found["late"] = Labelled("late", promise.start, promise.end)
        if "not_received" in found and not found.keys().isdisjoint(_OF_WHAT_CAME):
            missing = found.pop("not_received")  # something came, so only a part did not
            if not _is_waiting(words.parts, missing):
                found.setdefault("incomplete", Labelled("incomplete", missing.start, missing.end))
        if "not_received" in found and "late" in found and _is_duration(words.parts, found["late"]):
            del found["late"]  # "three weeks later still nothing"
        return [found[label] for label in LABELS if label in found]


def _is_duration(parts: Sequence[Part], label: Labelled) -> bool:
    """Whether the words behind a label are how much time has passed."""
    return any(part.start == label.start and part.means("unit", "slow") for part in parts)


def _is_waiting(parts: Sequence[Part], label: Labelled) -> bool:
    """Whether the words are about waiting: after something came broken, for an answer."""
    return any(part.start == label.start and part.means("waiting") for part in parts)


def _of_facts(words: Passage) -> Iterator[Labelled]:
    for one in stated(words):
        label = _OF_FACT.get(one.fact)
        if label is None or _is_only_slow(words.parts, one) or _is_of_an_answer(words.parts, one):
            continue
        yield Labelled(label, one.start, one.end)


def _is_only_slow(parts: Sequence[Part], one: Stated) -> bool:
    return one.fact == "late" and parts[one.part].means("slow")


def _is_of_an_answer(parts: Sequence[Part], one: Stated) -> bool:
    """Whether "not received" is about an answer, information or a refund."""
    if one.fact not in ("not_received", "incomplete", "wrong_item"):
        return False
    after = parts[one.part + 1 : one.part + 1 + _AFTER_NOT_RECEIVED]
    for part in after:
        if part.ends_clause or part.means("goods", "packages"):
            return False
        if part.means("answer_noun"):
            return True
    return False


def _of_words(words: Passage) -> Iterator[Labelled]:
    for index, part in enumerate(words.parts):
        for label in _OF_WORD:
            if not part.means(label):
                continue
            if label == "praise" and _is_turned(words.parts, index):
                continue
            yield Labelled(label, part.start, part.end)


def _is_turned(parts: Sequence[Part], index: int) -> bool:
    before = parts[max(0, index - _BEFORE_PRAISE) : index]
    return any(part.means("not", "wish", "if") for part in before)
