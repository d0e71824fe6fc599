"""The codes of a reply, from its facts and its numbers: the last statement stands, the specific before the general."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.domain.answers.parsed_reply import Question, ReadSpan
from pipeline.domain.answers.reading.clauses import Stated
from pipeline.domain.answers.reading.numerals import Numeral
from pipeline.domain.answers.reading.options import Numbers
from pipeline.domain.answers.reading.passage import Part
from pipeline.domain.events.contract import Arrival, Condition

_CONDITIONS: dict[str, Condition] = {
    "incomplete": "incomplete",
    "damaged": "damaged",
    "wrong_item": "wrong",
    "papers_missing": "papers_missing",
}
_ARRIVALS: dict[str, Arrival] = {"on_time": "on_time", "late": "late", "not_received": "not_received"}
_TOGETHER: dict[frozenset[int], tuple[Arrival | None, bool | None]] = {
    frozenset({1}): ("on_time", True),
    frozenset({2}): ("late", None),
    frozenset({3}): (None, False),
    frozenset({4}): ("not_received", None),
    frozenset({2, 3}): ("late", False),
    frozenset({1, 3}): ("on_time", False),
}


class Codes(NamedTuple):
    """Codes with the spans of text behind them. `contradictory`: the text states what cannot hold together."""

    arrival: Arrival | None = None
    complete: bool | None = None
    conditions: tuple[Condition, ...] = ()
    score: int | None = None
    spans: tuple[ReadSpan, ...] = ()
    contradictory: bool = False

    @property
    def any(self) -> bool:
        """Whether there is a code."""
        return bool(self.arrival or self.conditions) or self.complete is not None or self.score is not None


def _says_yes_and_no(
    facts: Sequence[Stated], general: Sequence[Stated], said: "_Said", conditions: Sequence[Condition]
) -> bool:
    """Whether a text says yes and no, and nothing that settles which."""
    return (
        said == _Said(None, None)
        and not conditions
        and any(one.fact == "yes" for one in general)
        and not any(one.fact == "all_good" for one in general)
        and any(one.fact == "no" for one in facts)
    )


class _Said(NamedTuple):
    """Arrival and completeness so far."""

    arrival: Arrival | None
    complete: bool | None


def codes_of(parts: Sequence[Part], facts: Sequence[Stated], question: Question, numbers: Numbers) -> Codes:
    """The codes of facts and numbers together."""
    conditions = tuple(dict.fromkeys(_CONDITIONS[one.fact] for one in facts if one.fact in _CONDITIONS))
    said = _Said(
        next((_ARRIVALS[one.fact] for one in reversed(facts) if one.fact in _ARRIVALS), None),
        True if any(one.fact == "complete" for one in facts) else None,
    )
    general = [one for one in facts if one.fact in ("yes", "all_good") and not one.about_rest]
    if not numbers.options and _says_yes_and_no(facts, general, said, conditions):
        return Codes(contradictory=True)
    if numbers.odd and said == _Said(None, None) and not conditions and not (general and question == "arrival"):
        return Codes(contradictory=True)
    chosen = frozenset(value for value, _ in numbers.options)
    if chosen:
        if chosen not in _TOGETHER:
            return Codes(contradictory=True)
        general, said = [], _with_options(said, chosen, bool(conditions))
    elif question == "arrival" and general:
        said = _with_general(said, any(one.fact == "all_good" for one in general))
    else:
        general = []
    complete = False if conditions else said.complete
    if said.arrival == "not_received":
        complete, conditions = None, ()
    score = numbers.score[0] if numbers.score else None
    spans = sorted((*_of_facts(_behind(facts, general)), *_of_numbers(parts, numbers)), key=lambda span: span.start)
    return Codes(said.arrival, complete, conditions, score, tuple(dict.fromkeys(spans)))


def _with_options(said: _Said, chosen: Iterable[int], has_conditions: bool) -> _Said:
    """What the words say, and the options beside them: words say more than option 1, other options say it plainly."""
    arrival, complete = _TOGETHER[frozenset(chosen)]
    if arrival is None or (set(chosen) == {1} and said.arrival is not None):
        arrival = said.arrival or arrival
    if complete is True and arrival == "late":
        complete = None
    if complete is None or has_conditions:
        complete = said.complete
    return _Said(arrival, complete)


def _with_general(said: _Said, all_good: bool) -> _Said:
    """What the words say, and "yes" or "all good" beside them, which answer what the words leave open."""
    arrival = said.arrival or "on_time"
    complete = said.complete
    if complete is None and (arrival == "on_time" or (arrival == "late" and all_good)):
        complete = True
    return _Said(arrival, complete)


def _behind(facts: Iterable[Stated], general: Sequence[Stated]) -> list[Stated]:
    """The facts behind the codes: general ones only where they count."""
    return [*(one for one in facts if one.fact not in ("yes", "all_good")), *general]


def _of_facts(facts: Iterable[Stated]) -> list[ReadSpan]:
    names = {**dict.fromkeys(_ARRIVALS, "arrival"), **dict.fromkeys(_CONDITIONS, "condition"), "complete": "complete"}
    names |= {"yes": "arrival", "all_good": "arrival"}
    return [ReadSpan(names[one.fact], one.start, one.end) for one in facts if one.fact in names]


def _of_numbers(parts: Sequence[Part], numbers: Numbers) -> list[ReadSpan]:
    spans = [_span(parts, "option", one) for _, one in numbers.options]
    return spans + ([_span(parts, "score", numbers.score[1])] if numbers.score else [])


def _span(parts: Sequence[Part], code: str, one: Numeral) -> ReadSpan:
    return ReadSpan(code, parts[one.first].start, parts[one.last - 1].end)
