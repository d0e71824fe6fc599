"""Replies to our questions, read: options, scores, facts in words, control words, and what is left for a person.

The numbers are read against the question that was open; the words are read in the same way after any question.
"""

from collections.abc import Sequence
from itertools import pairwise

from msgspec import structs

from pipeline.domain.answers.parsed_reply import MAX_TEXT, ParsedReply, Question, ReadSpan
from pipeline.domain.answers.reading.clauses import Stated
from pipeline.domain.answers.reading.codes import Codes, codes_of
from pipeline.domain.answers.reading.controls import FoundControl, control_of
from pipeline.domain.answers.reading.envelope import Envelope, opened
from pipeline.domain.answers.reading.facts import stated
from pipeline.domain.answers.reading.lexicon import lexicon
from pipeline.domain.answers.reading.numerals import Numeral, numerals
from pipeline.domain.answers.reading.options import Numbers, corrects_option, marked_score, options, score
from pipeline.domain.answers.reading.passage import CONTROLS, EMPTY, SAYS_MORE, Part, Passage, split

_NOTHING_TO_ADD = (
    *("no", "not", "nothing_more", "thanks", "ok", "yes", "all_good", "likely", "greeting", "complete", "problem"),
)
_MOST_TAKEN_BACK = 15  # parts before a correction that it takes back
_MOST_BETWEEN = 5  # parts between two numbers of which the second corrects the first
_MIN_STUCK = 6  # letters from which a text of one or two different letters is a stuck key


class PlainReader:
    """Reads a text in any of the languages, by rules. Stateless."""

    def prepare(self) -> None:
        """Load the vocabularies: a third of a second, once in a process."""
        lexicon()

    def read(self, text: str, question: Question, language: str | None) -> ParsedReply:
        """Parse one text as the answer to a question. `language`: the contact's; it decides only ties."""
        envelope, passage = opened(text[:MAX_TEXT], language)
        if envelope.automatic:
            return ParsedReply(automatic=True, language=passage.languages[0])
        parsed = _Reading(envelope, passage, question).result()
        return structs.replace(parsed, spans=_in_the_text(text, envelope.words, parsed.spans))


def _in_the_text(text: str, words: str, spans: Sequence[ReadSpan]) -> tuple[ReadSpan, ...]:
    """The spans as positions in the whole text; none if the words of its writer are in several pieces of it."""
    offset = text.find(words)
    return tuple(ReadSpan(one.code, one.start + offset, one.end + offset) for one in spans if offset >= 0)


class _Reading:
    """The reading of one text."""

    def __init__(self, envelope: Envelope, passage: Passage, question: Question) -> None:
        self._envelope = envelope
        self._passage = passage
        self._parts = passage.parts
        self._question = question
        self._used: set[int] = set()  # parts that became a code, or a number without a meaning of its own

    def result(self) -> ParsedReply:
        language = self._passage.languages[0]
        if self._envelope.injected:
            return ParsedReply(comment=self._envelope.words, language=language)
        control = control_of(self._passage, self._question == "comment")
        facts = self._facts()
        found = numerals(self._passage, self._question == "score")
        codes = self._codes(facts, found)
        if control is not None:
            return self._controlled(control, codes, language)
        sarcastic = self._passage.says("sarcasm")
        if sarcastic and not codes.conditions and codes.arrival in (None, "on_time") and codes.score is None:
            return ParsedReply(unclear=True, language=language)
        more = self._says_more(codes.any, "incomplete" in codes.conditions) or self._gives_reasons(codes, facts)
        comment = self._envelope.words if more and not codes.contradictory else None
        unclear = self._is_unclear(codes, comment)
        return ParsedReply(
            arrival=codes.arrival,
            conditions=codes.conditions,
            complete=codes.complete,
            score=codes.score,
            comment=None if unclear else comment,
            unclear=unclear,
            spans=codes.spans,
            language=language,
        )

    def _controlled(self, control: FoundControl, codes: Codes, language: str) -> ParsedReply:
        self._used.update(index for index, part in enumerate(self._parts) if part.means(*CONTROLS))
        inside = any(span.start < control.end and span.end > control.start for span in codes.spans)
        if inside or control.control == "help":
            codes = Codes()
        more = control.control == "stop" and self._says_more_than(control)
        return ParsedReply(
            arrival=codes.arrival,
            conditions=codes.conditions,
            complete=codes.complete,
            score=codes.score,
            control=control.control,
            comment=self._envelope.words if more else None,
            spans=(*codes.spans, ReadSpan("control", control.start, control.end)),
            language=language,
        )

    def _says_more_than(self, control: FoundControl) -> bool:
        """Whether another clause than that of an opt-out says something."""
        clauses = split(self._parts, lambda part: part.ends_clause)
        others = [one for one in clauses if not (one[0].start <= control.start < one[-1].end)]
        self._used.update(
            index for index, part in enumerate(self._parts) if not any(part in clause for clause in others)
        )
        return self._says_more(has_codes=True)

    def _facts(self) -> list[Stated]:
        """The facts; after the last question "nothing" is no delivery that failed."""
        facts = stated(self._passage)
        if self._question != "comment":
            return facts
        return [one for one in facts if not self._parts[one.part].means("nothing_more")]

    def _codes(self, facts: Sequence[Stated], found: Sequence[Numeral]) -> Codes:
        correction = _correction(self._parts, found)
        facts = _after_correction(facts, found, correction)
        numbers = self._numbers(facts, found, correction)
        # A number alone in a comment may be an answer to an earlier question: it says nothing by itself.
        alone = self._question == "comment" and all(
            one.kind in ("bare", "odd", "marked") and self._parts[one.first].digits for one in found
        )
        if numbers.odd or numbers.used or alone:
            mistyped = self._passage.says("mistyped")
            self._used.update(
                index for one in found if one.kind != "quantity" or mistyped for index in range(one.first, one.last)
            )
        return codes_of(self._parts, facts, self._question, numbers)

    def _numbers(self, facts: Sequence[Stated], found: Sequence[Numeral], correction: int | None) -> Numbers:
        usable = self._usable(facts, found, correction)
        if self._question == "arrival" or corrects_option(found, correction):
            return options(self._parts, usable, facts)
        return score(usable) if self._question == "score" else marked_score(usable)

    def _usable(self, facts: Sequence[Stated], found: Sequence[Numeral], correction: int | None) -> list[Numeral]:
        """The numbers that may be answers: not taken back, not counting anything, not what would have been."""
        usable = [
            one for one in found if one.kind != "quantity" and not one.negated and not self._is_counted(one, facts)
        ]
        later = [one for one in usable if correction is not None and one.first > correction]
        if later:
            usable = later
        elif correction is not None and self._question == "arrival" and any(one.part > correction for one in facts):
            usable = [one for one in usable if one.kind == "marked"]
        if self._passage.says("if", "unreal"):
            usable = [one for one in usable if one.kind == "bare" and self._may_be_real(one)]
        return usable

    def _may_be_real(self, one: Numeral) -> bool:
        """Whether a number in a text with "if" is an answer: "8, could have called", not "10 if on time"."""
        at_start = one.first == 0 and one.last < len(self._parts) and self._parts[one.last].ends_clause
        return self._question == "arrival" or at_start

    def _is_counted(self, one: Numeral, facts: Sequence[Stated]) -> bool:
        """Whether a number is one of two that say that less came than was ordered."""
        start, end = self._parts[one.first].start, self._parts[one.last - 1].end
        return any(
            fact.fact == "incomplete"
            and fact.start <= start
            and end <= fact.end
            and fact.end - fact.start > end - start
            for fact in facts
        )

    def _says_more(self, has_codes: bool = False, missing: bool = False) -> bool:
        """Whether a text says more than its codes: which, how many, why, a wish. `missing`: something is."""
        content = [
            part
            for index, part in enumerate(self._parts)
            if index not in self._used and not part.is_sign and _is_content(part)
        ]
        if len(content) < 2 and self._asks_for_rest():
            return True
        one_unknown = len(content) == 1 and not content[0].meanings and not content[0].digits
        if one_unknown and self._question == "score" and self._passage.says("likely"):
            return False
        if one_unknown and self._question == "arrival":
            # One word that no vocabulary has says nothing more than codes do (28 of 29 texts), and nothing on its own.
            return (
                missing
                or self._passage.says("except")
                or (not has_codes and self._passage.says("goods", "packages", "papers"))
            )
        return bool(content) and not _is_stuck(content)

    def _asks_for_rest(self) -> bool:
        """Whether a text asks for what has not come yet: "when do we get the rest?"."""
        return self._passage.says("rest") and any(part.text in ("?", "か") for part in self._parts)

    def _gives_reasons(self, codes: Codes, facts: Sequence[Stated]) -> bool:
        """Whether facts are the answer to the question for a comment, or the reason of a score."""
        stated_here = bool(codes.conditions or codes.arrival) and bool(facts)
        if "wrong" in codes.conditions and not self._passage.says("wrong", "instead"):
            return True  # which variant came for which
        if self._question == "comment":
            return stated_here and bool(codes.conditions)
        return self._question == "score" and stated_here and self._passage.says("because")

    def _is_unclear(self, codes: Codes, comment: str | None) -> bool:
        if codes.contradictory:
            return True
        if codes.any or comment is not None:
            return False
        return self._question != "comment" or not self._passage.says(*_NOTHING_TO_ADD)


def _correction(parts: Sequence[Part], found: Sequence[Numeral]) -> int | None:
    """The index of the last correction. "Sorry" at the start may be an apology; "I meant" is none."""
    at = [index for index, part in enumerate(parts) if part.means("correct") and (index > 0 or " " in part.text)]
    at += [no for one, other in pairwise(found) if (no := _no_between(parts, one.last, other.first)) is not None]
    bare = [one for one in found if one.kind in ("bare", "led")]
    if len(bare) > 1 and any(part.means("mistyped") for part in parts):
        at.append(bare[-1].first - 1)
    at.sort()
    return at[-1] if at else None


def _no_between(parts: Sequence[Part], start: int, end: int) -> int | None:
    """The index of the "no" in "8, no, 7". Without a comma after it, a "no" that is also "not" negates: "2 no 1"."""
    if end - start > _MOST_BETWEEN:
        return None
    between = range(start, end)
    for index in between:
        part = parts[index]
        if part.means("no") and (not part.means("not") or parts[index + 1].is_sign or _answers(parts, index)):
            others = [parts[one] for one in between if one != index]
            if all(one.is_sign or one.means("light", "emoji", "correct") or len(one.text) <= 3 for one in others):
                return index
    return None


def _answers(parts: Sequence[Part], index: int) -> bool:
    """Whether a "no" after a comma takes back: in English and French another word negates a number."""
    return parts[index - 1].is_sign and parts[index].language in ("en", "fr")


def _after_correction(facts: Sequence[Stated], found: Sequence[Numeral], correction: int | None) -> list[Stated]:
    """The facts without those that a later "sorry, I meant" takes back."""
    if correction is None:
        return list(facts)
    later = [one for one in facts if one.part > correction]
    if not later and not any(one.first > correction and one.kind in ("bare", "marked") for one in found):
        return list(facts)
    return [one for one in facts if one.part > correction or one.part < correction - _MOST_TAKEN_BACK]


def _is_content(part: Part) -> bool:
    if part.means(*SAYS_MORE):
        return True
    if part.meanings & EMPTY:
        return False
    among_ideographs = not part.spaced and part.text.isalpha()  # a model, as in "B款"
    return len(part.text) > 1 or part.digits is not None or part.text > "\u3000" or among_ideographs


def _is_stuck(content: Sequence[Part]) -> bool:
    """Whether the only content is a key that was held down."""
    text = "".join(part.text for part in content)
    return len(content) == 1 and len(set(text)) <= 2 and len(text) >= _MIN_STUCK
