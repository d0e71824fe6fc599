"""A passage in clauses: what each of their parts is about, and what a negation turns."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from pipeline.domain.answers.reading.passage import VERB_LAST, Part, Passage

Fact = Literal[
    "on_time",
    "late",
    "not_received",
    "arrived",
    "complete",
    "incomplete",
    "damaged",
    "wrong_item",
    "papers_missing",
    "all_good",
    "yes",
    "no",
    "not_good",
]
_NEGATABLE = 6  # parts between a negation and what it negates
_NEGATABLE_VERB = 3  # between a negation and "arrived"
KINDS = (
    *("not_received", "not_late", "late", "early", "on_time", "complete", "missing", "damaged", "wrong", "arrived"),
    *("problem", "all_good", "yes", "no", "ok"),
)
_ONLY_WITH_NOT = "し か"  # Japanese "only", which always comes with a negation
_MAX_CLAUSE = 60  # parts: a text without punctuation is divided
BAD = frozenset({"late", "missing", "damaged", "wrong", "problem"})
_TURNING = frozenset({"but", "correct", "this_time"})
_DENIALS = frozenset({"complete", "not_late", "all_good"})  # may hold their own negation
_GENERAL = frozenset({"yes", "ok", "all_good"})
OF_ARRIVAL = frozenset({"on_time", "early", "late", "complete", "missing", "damaged", "wrong", "not_received"})


class Stated(NamedTuple):
    """A fact and where it is stated. `part`: its place in the passage. `about_rest`: of what remains."""

    fact: Fact
    start: int
    end: int
    part: int
    about_rest: bool = False


class Clause(NamedTuple):
    """The parts of a clause with their places in the passage, all they mean, and how the clause begins and ends."""

    parts: list[tuple[int, Part]]
    said: frozenset[str]
    after_but: bool
    question: bool
    sentence: int

    def says(self, *names: str) -> bool:
        """Whether some part has one of these meanings."""
        return not self.said.isdisjoint(names)


def clauses_of(text: Passage) -> list[Clause]:
    """The clauses of a text, in their order."""
    clauses: list[Clause] = []
    current: list[tuple[int, Part]] = []
    after_but, number = False, 0

    def _close(question: bool, ends: bool) -> None:
        nonlocal current, after_but, number
        if current:
            said = frozenset[str]().union(*{part.meanings for _, part in current})
            clauses.append(Clause(current, said, after_but, question, number))
        current, after_but = [], False
        number += ends

    for index, part in enumerate(text.parts):
        if part.new_line and current:
            _close(False, True)
        if part.ends_clause:
            _close(part.text == "?" or _asks(current), part.ends_sentence)
        elif len(current) >= _MAX_CLAUSE:
            _close(False, False)
            current.append((index, part))
        elif _turns(part, current):
            _close(False, False)
            after_but = True
            current.append((index, part))
        else:
            current.append((index, part))
    _close(_asks(current), True)
    return clauses


def _asks(parts: Sequence[tuple[int, Part]]) -> bool:
    """Whether a Japanese clause ends as a question does without its sign."""
    return bool(parts) and parts[-1][1].language == "ja" and parts[-1][1].text in ("か", "す か")


def _turns(part: Part, before: Sequence[tuple[int, Part]]) -> bool:
    """Whether a part turns to something else within a clause: "but", or "today" after "last time"."""
    if _TURNING.isdisjoint(part.meanings) and part.text != "が":
        return False
    if part.means("but", "correct"):
        return not part.means(*OF_ARRIVAL)
    if part.means("this_time"):
        return any(one.means("other_time") for _, one in before)
    return part.text == "が" and bool(before) and before[-1][1].text[-1] in "たすい"


def sentences_of(clauses: Iterable[Clause]) -> dict[int, list[Part]]:
    """The parts of each sentence."""
    found: dict[int, list[Part]] = defaultdict(list)
    for one in clauses:
        found[one.sentence] += [part for _, part in one.parts]
    return found


def kind_of(part: Part) -> str | None:
    """What a part says of the delivery on its own, or None."""
    return _kind_of(part.meanings) if part.meanings else None


@lru_cache(maxsize=4_096)
def _kind_of(meanings: frozenset[str]) -> str | None:
    if {"all_good", "complete"} <= meanings and "on_time" not in meanings:
        return "all_good"  # "tout est bon": the more general of the two
    return next((kind for kind in KINDS if kind in meanings), None)


def kinds_of(clause: Clause) -> list[str | None]:
    """What each part of a clause says of the delivery, or None."""
    parts = clause.parts
    kinds = [kind_of(part) for _, part in parts]
    of_arrival = not OF_ARRIVAL.isdisjoint(kinds)
    for position, kind in enumerate(kinds):
        if kind in _GENERAL and clause.says("attribute"):
            kinds[position] = None  # "the size is right"
        if kind == "yes" and position > 0 and of_arrival and not _is_greeted(parts[position - 1][1]):
            kinds[position] = None  # "exactly on time"
        if kind in ("all_good", "ok") and position + 1 < len(kinds) and kinds[position + 1] in ("late", "early"):
            kinds[position] = None  # "super late"
        if kind == "not_received" and parts[position][1].means("not"):
            after = next((one for one in kinds[position + 1 : position + 4] if one is not None), None)
            if after in BAD or after == "arrived":
                kinds[position] = None  # "nothing damaged"
    return kinds


def _is_greeted(part: Part) -> bool:
    """Whether a courtesy precedes a "yes", so that the "yes" answers."""
    return part.means("greeting", "thanks")


def negations(clause: Clause, kinds: Sequence[str | None]) -> set[int]:
    """The positions of the facts that are negated."""
    parts = clause.parts
    negated = _denied(parts, kinds) if clause.says("not", "not_after") else set()
    if clause.says("past"):
        negated ^= _past(parts, kinds)
    return negated | _not_arrived_so(parts, kinds) | _neither(parts, kinds)


def _denied(parts: Sequence[tuple[int, Part]], kinds: Sequence[str | None]) -> set[int]:
    negated: set[int] = set()
    since: int | None = None
    last_fact: int | None = None
    # A Persian "no" only answers, because verbs hold their own negation; twice, it is "neither ... nor".
    nos = sum(part.text == "نه" for _, part in parts)
    for position, (_, part) in enumerate(parts):
        kind = kinds[position]
        if kind == "not_received":
            since, last_fact = None, None  # it has its own negation
            continue
        if kind is not None and kind != "no":
            if since is not None and position - since <= (_NEGATABLE if kind != "arrived" else _NEGATABLE_VERB):
                if kinds[since] not in (None, "no") and (kinds[since] in BAD) != (kind in BAD):
                    since = None  # "not late and complete"
                elif kind != "on_time" or all(one.meanings or one.is_sign for _, one in parts[since:position]):
                    negated.add(position)  # "if my problem is not solved in time" is about something else
                    since = position  # "not late or damaged": it goes on to the next
                else:
                    since = position
            last_fact = position
            continue
        if part.means("subject") and part.language in VERB_LAST:
            last_fact = None  # what follows is denied of somebody
        if (
            part.means("not")
            and not _is_answer(parts, position)
            and not (part.means("no") and part.language == "fa" and nos == 1)
        ):
            since = position
        elif part.means("not_after") and last_fact is not None and position - last_fact <= _NEGATABLE:
            if not (
                _ONLY_WITH_NOT in parts[last_fact][1].text
                or any(one.means("papers") for _, one in parts[last_fact + 1 : position])  # they are denied
            ):
                negated ^= _joined(parts, kinds, last_fact)
            last_fact = None
        elif since is not None and part.means("and", "only"):
            since = None
    return negated


def _past(parts: Sequence[tuple[int, Part]], kinds: Sequence[str | None]) -> set[int]:
    """What "after" turns: "long after the agreed time"."""
    return {
        position
        for position, kind in enumerate(kinds)
        if kind == "on_time" and any(one.means("past") for _, one in parts[max(0, position - 2) : position])
    }


def _is_answer(parts: Sequence[tuple[int, Part]], position: int) -> bool:
    """Whether a "no" answers, and the sentence after it has its own subject: "no it was early"."""
    if position or len(parts) == 1 or not parts[0][1].means("no"):
        return False
    return parts[1][1].means("subject", "early")


def _neither(parts: Sequence[tuple[int, Part]], kinds: Sequence[str | None]) -> set[int]:
    """What "も" joins to a phrase with a negation of its own: "遅れも不足もありません"."""
    return {
        position
        for position, kind in enumerate(kinds[:-2])
        if kind in BAD and parts[position + 1][1].text == "も" and kinds[position + 2] in _DENIALS
    }


def _joined(parts: Sequence[tuple[int, Part]], kinds: Sequence[str | None], last: int) -> set[int]:
    """A fact and those before it that a negation after them covers, too: "遅れも不足もありません"."""
    covered, position = {last}, last - 1
    while position >= 0 and last - position <= _NEGATABLE:
        if kinds[position] in BAD and kinds[last] in BAD:
            covered.add(position)
            last = position
        elif kinds[position] is not None or not parts[position][1].means("light", "and", "or"):
            break
        position -= 1
    return covered if parts[last][1].language in VERB_LAST else {max(covered)}


def _not_arrived_so(parts: Sequence[tuple[int, Part]], kinds: Sequence[str | None]) -> set[int]:
    """Facts next to a "did not arrive" that say how it did not: "did not arrive on time"."""
    negated: set[int] = set()
    for position, kind in enumerate(kinds):
        if kind != "not_received":
            continue
        after = _next_fact(parts, kinds, position, 1)
        before = _next_fact(parts, kinds, position, -1) if parts[position][1].language in VERB_LAST else None
        negated |= {
            one for one in (after, before) if one is not None and kinds[one] in ("on_time", "early", "complete", "late")
        }
    return negated


def _next_fact(parts: Sequence[tuple[int, Part]], kinds: Sequence[str | None], position: int, step: int) -> int | None:
    """The fact next to a position, with at most two function words between."""
    for distance in range(1, 4):
        other = position + step * distance
        if not 0 <= other < len(parts):
            return None
        if kinds[other] is not None:
            return other
        if not parts[other][1].means("light", "goods"):
            return None
    return None
