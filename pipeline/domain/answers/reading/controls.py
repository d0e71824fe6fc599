"""STOP, START and HELP: one word or plain wording, addressed to us and about the messages.

Goods, trucks and drivers may stop, too, and a driver who never contacts anybody is feedback. So a text is an opt-out
only if its wording is an imperative or a wish about messages.
"""

from collections.abc import Sequence
from itertools import dropwhile, takewhile
from typing import Literal, NamedTuple

from pipeline.domain.answers.reading.lexicon import lexicon
from pipeline.domain.answers.reading.passage import CONTROLS, VERB_LAST, Part, Passage, split

Control = Literal["stop", "start", "help"]

_COURTESIES = (
    "thanks",
    "greeting",
    "please",
    "light",
    "ok",
    "emoji",
    "because",
    "and",
    "but",
    "not",
    "closing",
    "correct",
)
_OTHER_SUBJECTS = (
    "wrong",
    "papers",
    "goods",
    "packages",
    "vehicle",
    "place",
    "action",
    "late",
    "damaged",
    "missing",
    "unit",
    "day",
    "on_time",
    "wish",
    "other_time",
    "ordered",
)
_AFTER_STOP = ("goods", "packages", "vehicle", "place", "action", "limit")
_CONDITIONS = ("wrong", "damaged", "missing")
_LOOKED_AT = 8  # parts after a wording that may show that it is not about messages


_CONTROLS = frozenset(CONTROLS)
_NOT_CORE = frozenset({*_COURTESIES, "wrong_number", "message", "digits", "number", "yes"})


class FoundControl(NamedTuple):
    """A control word and where it is."""

    control: Control
    start: int
    end: int


def control_of(text: Passage, at_comment: bool) -> FoundControl | None:
    """The control that a text states. `at_comment`: "no more" is then an answer."""
    if not text.says(*CONTROLS):
        return None
    words = [part for part in text.parts if not part.is_sign]
    return _stop(text, words, at_comment) or _start(words) or _help(text, words)


def _stop(text: Passage, words: Sequence[Part], at_comment: bool) -> FoundControl | None:
    if not (at_comment and any(part.means("nothing_more") for part in words)):
        core = _core(words)
        if core and all(part.means("stop", "stop_first", "stop_phrase") for part in core) and not _is_said_of(words):
            return _found("stop", core)
    return _leading_stop(text) or _stop_line(text) or _stop_wording(text)


def _is_said_of(words: Sequence[Part]) -> bool:
    """Whether a subject or a negation precedes the word of control: "they never stop"."""
    for part in words:
        if part.means("stop", "stop_first", "stop_phrase"):
            return False
        if part.means("subject", "not"):
            return True
    return False


def _core(words: Sequence[Part]) -> list[Part]:
    """The words without courtesies and digits."""
    return [
        part
        for part in words
        if not part.meanings or not _CONTROLS.isdisjoint(part.meanings) or _NOT_CORE.isdisjoint(part.meanings)
    ]


def _leading_stop(text: Passage) -> FoundControl | None:
    """A text that begins with a word of control and does not go on to speak of goods, trucks, drivers or places."""
    words = [part for part in text.parts if not part.is_sign and not part.means("greeting", "please")]
    if not words or not words[0].means("stop_first"):
        return None
    rest = words[1:]
    if any(part.means(*_OTHER_SUBJECTS) for part in rest):
        return None
    return _found("stop", words[:1])


def _stop_line(text: Passage) -> FoundControl | None:
    """A line or a sentence that is nothing but a word of control."""
    for sentence in split(text.parts, lambda part: part.ends_clause):
        words = [part for part in sentence if not part.is_sign]
        core = _core(words)
        if core and all(part.means("stop_first", "stop_phrase") for part in core) and not _is_said_of(words):
            return _found("stop", core)
    return None


def _stop_wording(text: Passage) -> FoundControl | None:
    for sentence in split(text.parts, lambda part: part.ends_sentence):
        for index, part in enumerate(sentence):
            if part.means("stop_phrase") and not _is_feedback(sentence, index):
                return _found("stop", [part])
    return None


def _is_feedback(sentence: Sequence[Part], index: int) -> bool:
    """Whether somebody else is the subject of a wording, or it is limited to a place, a time or goods."""
    before = _same_clause_before(sentence, index)
    if before and before[0].means("not"):
        return True
    # German puts the subject of an imperative after its verb: "nehmen Sie mich von der Liste".
    subjects = [
        part
        for position, part in enumerate(reversed(before))
        if part.means("vehicle") or (part.means("subject") and (part.language != "de" or position == 0))
    ]
    if subjects and not any(part.means("modal", "please") for part in before):
        return True
    after = sentence[index + 1 : index + 1 + _LOOKED_AT]
    if any(part.means("message") for part in after):
        return False
    same_clause = True
    for part in after:
        if part.ends_sentence or part.means("because"):
            break
        if part.ends_clause:
            same_clause = False
            continue
        if part.means(*_AFTER_STOP) or (same_clause and part.means(*_CONDITIONS)):
            return True
    return _is_about_goods(before) or _sends_goods(sentence, index)


def _sends_goods(sentence: Sequence[Part], index: int) -> bool:
    """Whether the wording is about sending, and its object is no message: "do not send any more of the red paint"."""
    known, words = lexicon(), sentence[index].text.split(" ")
    if not any(word.startswith(known.sending) for word in words) or not known.messages.isdisjoint(words):
        return False
    if sentence[index].language in VERB_LAST:
        before = _same_clause_before(sentence, index)
        named = [part for part in before if not part.means("light", "please", "not", "subject")]
    else:
        rest = list(takewhile(lambda part: not (part.ends_clause or part.new_line), sentence[index + 1 :]))
        named = list(dropwhile(lambda part: part.means("light", "please", "score_of", "unit"), rest))[:1]
    if any(part.means("message") for part in named):
        return False
    return any(
        (not part.meanings and not part.is_sign) or part.means("colour", "variant", "attribute", "goods")
        for part in named
    )


def _is_about_goods(before: Sequence[Part]) -> bool:
    """Where the verb comes last: whether its object is goods, as in "壊れた商品を送らないでください"."""
    if not before or before[-1].language not in VERB_LAST or any(part.means("message") for part in before):
        return False
    return any(part.means("goods", "packages", *_CONDITIONS) for part in before)


def _same_clause_before(sentence: Sequence[Part], index: int) -> list[Part]:
    before: list[Part] = []
    for part in reversed(sentence[:index]):
        if part.ends_clause or part.means("and", "but"):
            break
        before.append(part)
    return before


def _start(words: Sequence[Part]) -> FoundControl | None:
    wording = next((part for part in words if part.means("start_phrase")), None)
    if wording is not None:
        return _found("start", [wording])
    core = _core(words)
    if core and all(part.means("start") for part in core) and not any(_is_small_word(part) for part in words):
        return _found("start", core)
    return None


def _is_small_word(part: Part) -> bool:
    """Whether a word is neither the control nor a courtesy: "the highest" is no START."""
    return part.means("light") and not part.means("start", "please", "thanks", "greeting")


def _help(text: Passage, words: Sequence[Part]) -> FoundControl | None:
    core = _core(words)
    if core and all(part.means("help") for part in core):
        return _found("help", core)
    for sentence in text.sentences():
        for part in sentence:
            if part.means("help_phrase"):
                return _found("help", [part])
    return None


def _found(control: Control, parts: Sequence[Part]) -> FoundControl:
    return FoundControl(control, parts[0].start, parts[-1].end)
