"""What the words of a text state about a delivery: arrival, completeness, conditions. Negations apply in their clause.

What is said of another delivery, of the future or of what might have been is left out.
"""

from collections.abc import Sequence
from itertools import pairwise
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
_KINDS = (
    *("not_received", "not_late", "late", "early", "on_time", "complete", "missing", "damaged", "wrong", "arrived"),
    *("problem", "all_good", "yes", "no", "ok"),
)
_TURNED: dict[str, Fact | None] = {
    "on_time": "late",
    "early": None,
    "late": "on_time",
    "complete": "incomplete",
    "missing": "complete",
    "damaged": None,
    "wrong": None,
    "arrived": "not_received",
    "not_received": None,
    "not_late": None,
    "problem": "all_good",
    "all_good": "not_good",
    "yes": "no",
    "ok": "not_good",
    "no": None,
}
_PLAIN: dict[str, Fact | None] = {
    "on_time": "on_time",
    "early": "on_time",
    "late": "late",
    "not_late": "on_time",
    "complete": "complete",
    "missing": "incomplete",
    "damaged": "damaged",
    "wrong": "wrong_item",
    "arrived": "arrived",
    "not_received": "not_received",
    "problem": None,
    "all_good": "all_good",
    "yes": "yes",
    "ok": "yes",
    "no": "no",
}
_MAX_CLAUSE = 60  # parts: a text without punctuation is divided
_BAD = frozenset({"late", "missing", "damaged", "wrong", "problem"})
_DENIALS = frozenset({"complete", "not_late", "all_good"})  # may hold their own negation
_GENERAL = frozenset({"yes", "ok", "all_good"})
_LAST_HOUR = 24
_NEAR = 10  # parts between two numbers that belong together
_SETTLED = frozenset({"missing", "damaged", "wrong", "late", "not", "not_after", "other_time", "wish", "if"})
_UNREAL: dict[Fact, Fact] = {"on_time": "late", "complete": "incomplete"}  # "10 if it had been on time"
_GOOD: frozenset[Fact] = frozenset({"on_time", "complete", "all_good", "yes", "arrived"})
_OF_ARRIVAL = frozenset({"on_time", "early", "late", "complete", "missing", "damaged", "wrong", "not_received"})


class Stated(NamedTuple):
    """A fact and where it is stated. `part`: its place in the passage. `about_rest`: of what remains."""

    fact: Fact
    start: int
    end: int
    part: int
    about_rest: bool = False


class _Clause(NamedTuple):
    parts: list[tuple[int, Part]]
    after_but: bool
    question: bool
    sentence: int


def stated(text: Passage) -> list[Stated]:
    """The facts of a text, in their order."""
    found: list[Stated] = []
    if not text.says(*_KINDS, "not_yet", "not_after", "papers", "goods", "packages", "ordered", "time_noun", "amount_noun", "colour"):
        return found
    elsewhere = False
    sentence = -1
    clauses = _clauses(text)
    for clause in clauses:
        if clause.sentence != sentence:
            sentence, elsewhere = clause.sentence, False
        if any(part.means("other_time", "wish", "if") for _, part in clause.parts):
            elsewhere = True
        elif any(part.means("this_time") for _, part in clause.parts) or clause.after_but:
            elsewhere = False
        facts = _of_clause(clause)
        if text.says("agreed") and not any(one.fact in ("on_time", "late") for one in facts):
            facts += _as_agreed(clause, _sentence(clauses, clause))
        if text.says("due") and any(part.means("due") for _, part in clause.parts):
            facts += _as_due(text, clause, _sentence(clauses, clause))
        if text.says("unreal") and any(part.means("unreal") for part in _sentence(clauses, clause)):
            facts = [one._replace(fact=_UNREAL[one.fact]) for one in facts if one.fact in _UNREAL]
        elif elsewhere:
            facts = [one for one in facts if _stands_anyway(clause, one)]
        if clause.question:
            facts = [] if _is_denied(clauses, clause) else [one for one in facts if one.fact not in _GOOD]
        found += facts
    if text.says("colour") and not any(one.fact == "wrong_item" for one in found):
        found += _other_colour(text)
    counted = text.says("ordered", "score_of", "only") and text.says("digits", "number")
    if counted and not any(one.fact in ("incomplete", "not_received") for one in found):
        found += _counted_short(text)
    return found


def _is_denied(clauses: Sequence[_Clause], question: _Clause) -> bool:
    """Whether a question is the writer's own and answered with no: "late? no, early"."""
    end = question.parts[-1][0]
    after = next((one for one in clauses if one.parts[0][0] > end), None)
    return after is not None and after.parts[0][1].means("no")


def _sentence(clauses: Sequence[_Clause], clause: _Clause) -> list[Part]:
    """The parts of the sentence of a clause."""
    return [part for one in clauses if one.sentence == clause.sentence for _, part in one.parts]


def _other_colour(text: Passage) -> list[Stated]:
    """ "Ordered blue, got red": one colour was ordered and another came."""
    named = [(index, part) for index, part in enumerate(text.parts) if part.means("colour")]
    if len(named) != 2 or named[0][1].text == named[1][1].text or not text.says("ordered", "wish"):
        return []
    index, part = named[1]
    return [Stated("wrong_item", part.start, part.end, index)]


def _counted_short(text: Passage) -> list[Stated]:
    """ "Of 24 packs 22 came": fewer arrived than were ordered, without a word for it."""
    found: list[Stated] = []
    offset = 0
    for sentence in text.sentences():
        counts = [
            position
            for position, part in enumerate(sentence)
            if part.number is not None and not _names_other(sentence, position)
        ]
        for first, last in pairwise(counts):
            if _is_short(sentence, first, last):
                parts = sentence[first], sentence[last]
                found.append(Stated("incomplete", parts[0].start, parts[1].end, offset + first))
        offset += len(sentence)
    return found


def _is_short(parts: Sequence[Part], first: int, last: int) -> bool:
    """Whether two numbers are those of what was ordered and what came."""
    if parts[first].number == parts[last].number or last - first > _NEAR:
        return False
    said = {name for part in parts[max(0, first - 3) : last + 5] for name in part.meanings}
    if not (said & {"arrived", "only"} and said & {"ordered", "score_of", "only"}) or said & _SETTLED:
        return False
    if {"ordered", "arrived"} <= said and (parts[first].number or 0) > (parts[last].number or 0):
        return True
    return _counts_packages(parts, first) or _counts_packages(parts, last)


def _counts_packages(parts: Sequence[Part], position: int) -> bool:
    return any(part.means("packages", "goods") for part in parts[position + 1 : position + 3])


def _names_other(parts: Sequence[Part], position: int) -> bool:
    """Whether a number is a time, a date, or the number of a gate."""
    around = [*parts[max(0, position - 1) : position], *parts[position + 1 : position + 2]]
    return any(part.means("unit", "place", "day") or part.text == ":" for part in around)


def _stands_anyway(clause: _Clause, one: Stated) -> bool:
    """Whether a fact in a wish stands: "please send the missing box" says that a box is missing."""
    if any(part.means("other_time", "if") for _, part in clause.parts):
        return False
    if one.fact == "not_received":
        return True
    return one.fact in ("incomplete", "damaged", "wrong_item", "papers_missing") and not any(
        part.means("not", "not_after") for _, part in clause.parts
    )


def _clauses(text: Passage) -> list[_Clause]:
    clauses: list[_Clause] = []
    current: list[tuple[int, Part]] = []
    after_but, number = False, 0

    def _close(question: bool, ends: bool) -> None:
        nonlocal current, after_but, number
        if current:
            clauses.append(_Clause(current, after_but, question, number))
        current, after_but = [], False
        number += ends

    for index, part in enumerate(text.parts):
        if part.new_line and current:
            _close(False, True)
        if part.ends_clause:
            _close(part.text == "?", part.ends_sentence)
        elif len(current) >= _MAX_CLAUSE:
            _close(False, False)
            current.append((index, part))
        elif _turns(part, current):
            _close(False, False)
            after_but = True
            current.append((index, part))
        else:
            current.append((index, part))
    _close(False, True)
    return clauses


def _turns(part: Part, before: Sequence[tuple[int, Part]]) -> bool:
    """Whether a part turns to something else within a clause: "but", or "today" after "last time"."""
    if part.means("but", "correct"):
        return not part.means(*_OF_ARRIVAL)
    if part.means("this_time"):
        return any(one.means("other_time") for _, one in before)
    return part.text == "が" and bool(before) and before[-1][1].text[-1] in "たすい"


def _of_clause(clause: _Clause) -> list[Stated]:
    parts = clause.parts
    kinds = _kinds(parts)
    negated = _negations(parts, kinds)
    only = any(part.means("only") for _, part in parts)
    partial = _is_partial(parts) or (only and any(_is_count(parts, position) for position in range(len(parts))))
    papers = [position for position, (_, part) in enumerate(parts) if part.means("papers")]
    used_papers = False
    found: list[Stated] = []
    rest = False
    for position, (index, part) in enumerate(parts):
        rest = rest or part.means("rest")
        kind = kinds[position]
        if kind is None or _is_elsewhere(parts, kinds, position) or _is_mistyped(parts, position):
            continue
        if kind == "ok" and (_is_acknowledged(parts) or partial):
            continue
        fact = _TURNED[kind] if position in negated else _PLAIN[kind]
        if fact in ("not_received", "arrived") and _has_better(kinds, position, negated):
            continue
        if fact == "wrong_item" and papers and not any(one.means("goods", "packages") for _, one in parts):
            continue  # wrong papers are no wrong goods
        if fact == "not_received" and _of_all(parts, position):
            fact = "incomplete"
        if fact == "wrong_item" and part.means("instead") and _is_count(parts, position + 1):
            fact = "incomplete"  # "one instead of two"
        if fact in ("incomplete", "not_received") and papers and not used_papers:
            fact, used_papers = "papers_missing", True
        elif partial and (fact == "not_received" or (fact == "arrived" and only)):
            fact = "incomplete"
        if kind == "on_time" and part.means("complete") and position not in negated:
            found.append(Stated("complete", part.start, part.end, index))
        if fact is not None:
            found.append(Stated(fact, part.start, part.end, index, rest))
    if papers and not used_papers:
        found += _no_papers(clause, papers)
    found += _of_aspects(clause, found)
    return found or _no_goods(clause) or _lacks(clause) or _not_yet(clause)


def _not_yet(clause: _Clause) -> list[Stated]:
    """ "Not yet" as all that a clause says."""
    words = [
        (index, part)
        for index, part in clause.parts
        if not part.means("light", "thanks", "please", "goods", "this_time")
    ]
    if len(words) == 1 and words[0][1].means("not_yet"):
        index, part = words[0]
        return [Stated("not_received", part.start, part.end, index)]
    return []


def _as_agreed(clause: _Clause, sentence: Sequence[Part]) -> list[Stated]:
    """ "At two, as agreed": with an hour, a truck or an arrival, what was agreed is the time."""
    if any(part.means("arrived", "unit", "vehicle") for part in sentence):
        return [Stated("on_time", part.start, part.end, at) for at, part in clause.parts if part.means("agreed")]
    return []


def _as_due(text: Passage, clause: _Clause, sentence: Sequence[Part]) -> list[Stated]:
    """ "It was due at ten and came at two": what came at another time than it was due is late."""
    if text.says("on_time", "early", "late", "not_late", "not_received", "other_time", "agreed"):
        return []
    if not any(part.means("arrived") for part in sentence):
        return []
    hours = [part.number for part in sentence if part.number is not None and part.number <= _LAST_HOUR]
    if len(hours) > 1 and hours[-1] == hours[0]:
        return []
    return [Stated("late", part.start, part.end, at) for at, part in clause.parts if part.means("due")][:1]


def _no_goods(clause: _Clause) -> list[Stated]:
    """ "No delivery": a negation directly at the goods, with nothing after it."""
    words = [(index, part) for index, part in clause.parts if not part.means("this_time", "thanks", "please", "emoji")]
    if len(words) == 2 and words[0][1].means("not", "no") and words[1][1].means("goods"):
        index, part = words[1]
        return [Stated("not_received", words[0][1].start, part.end, index)]
    return []


def _of_aspects(clause: _Clause, found: Sequence[Stated]) -> list[Stated]:
    """ "Time and quantity are fine": the nouns say what the adjective is about."""
    said = {name for _, part in clause.parts for name in part.meanings}
    denied = not said.isdisjoint(("not", "not_after"))
    if not said & {"time_noun", "amount_noun"} or not said & {"fits", "ok", "all_good", "off"}:
        return []
    if any(one.fact in ("late", "incomplete", "damaged", "wrong_item", "not_received") for one in found):
        return []
    facts: list[Stated] = []
    known = {one.fact for one in found}
    for noun, fact in (("time_noun", "on_time"), ("amount_noun", "complete")):
        at = next(((index, part) for index, part in clause.parts if part.means(noun)), None)
        if at is None or fact in known:
            continue
        index, part = at
        if not denied and said & {"fits", "ok", "all_good"}:
            facts.append(Stated("on_time" if noun == "time_noun" else "complete", part.start, part.end, index))
        elif noun == "amount_noun":
            facts.append(Stated("incomplete", part.start, part.end, index))
    return facts


def _lacks(clause: _Clause) -> list[Stated]:
    """Persian "it had no charger": a thing that no vocabulary has, and a negation."""
    words = [(index, part) for index, part in clause.parts if not part.means("light", "thanks", "emoji")]
    if len(words) == 2 and not words[0][1].meanings and words[1][1].means("not_after") and words[1][1].language == "fa":
        index, part = words[1]
        return [Stated("incomplete", words[0][1].start, part.end, index)]
    return []


def _of_all(parts: Sequence[tuple[int, Part]], position: int) -> bool:
    """Whether "not received" is followed by "all": "we did not get everything"."""
    return any(part.means("every") for _, part in parts[position + 1 : position + 3])


def _is_acknowledged(parts: Sequence[tuple[int, Part]]) -> bool:
    """Whether "ok" comes with thanks or a greeting only: it then says that our message arrived."""
    return any(one.means("thanks", "greeting") for _, one in parts)


def _no_papers(clause: _Clause, papers: list[int]) -> list[Stated]:
    """ "No delivery note": a negation directly at the papers."""
    for position in papers:
        index, part = clause.parts[position]
        near = [*clause.parts[max(0, position - 3) : position]]
        after = clause.parts[position + 1 : position + 4]
        if any(one.means("not") for _, one in after) and not any(_kind(one) in _OF_ARRIVAL for _, one in clause.parts):
            return [Stated("papers_missing", part.start, part.end, index)]
        if any(one.means("not", "no") for _, one in near) or any(one.means("not_after") for _, one in after):
            return [Stated("papers_missing", part.start, part.end, index)]
    return []


def _kind(part: Part) -> str | None:
    return next((kind for kind in _KINDS if part.means(kind)), None)


def _kinds(parts: Sequence[tuple[int, Part]]) -> list[str | None]:
    kinds = [_kind(part) for _, part in parts]
    for position, kind in enumerate(kinds):
        if kind in _GENERAL and any(part.means("attribute") for _, part in parts):
            kinds[position] = None  # "the size is right"
        if kind == "yes" and position > 0 and any(one in _OF_ARRIVAL for one in kinds):
            kinds[position] = None  # "exactly on time"
        if kind in ("all_good", "ok") and position + 1 < len(kinds) and kinds[position + 1] in ("late", "early"):
            kinds[position] = None  # "super late"
        if kind == "not_received" and parts[position][1].means("not"):
            after = next((one for one in kinds[position + 1 : position + 4] if one is not None), None)
            if after in _BAD or after == "arrived":
                kinds[position] = None  # "nothing damaged"
    return kinds


def _negations(parts: Sequence[tuple[int, Part]], kinds: Sequence[str | None]) -> set[int]:
    """The positions of the facts that are negated."""
    negated: set[int] = set()
    since: int | None = None
    last_fact: int | None = None
    for position, (_, part) in enumerate(parts):
        kind = kinds[position]
        if kind == "not_received":
            since, last_fact = None, None  # it has its own negation
            continue
        if kind is not None and kind != "no":
            if since is not None and position - since <= (_NEGATABLE if kind != "arrived" else _NEGATABLE_VERB):
                if kinds[since] not in (None, "no") and (kinds[since] in _BAD) != (kind in _BAD):
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
        if part.means("not") and not _is_answer(parts, position):
            since = position
        elif part.means("not_after") and last_fact is not None and position - last_fact <= _NEGATABLE:
            negated ^= _joined(parts, kinds, last_fact)
            last_fact = None
        elif since is not None and part.means("and", "only"):
            since = None
    return (negated ^ _past(parts, kinds)) | _not_arrived_so(parts, kinds) | _neither(parts, kinds)


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
    return parts[1][1].means("subject")


def _neither(parts: Sequence[tuple[int, Part]], kinds: Sequence[str | None]) -> set[int]:
    """What "も" joins to a phrase with a negation of its own: "遅れも不足もありません"."""
    return {
        position
        for position, kind in enumerate(kinds[:-2])
        if kind in _BAD and parts[position + 1][1].text == "も" and kinds[position + 2] in _DENIALS
    }


def _joined(parts: Sequence[tuple[int, Part]], kinds: Sequence[str | None], last: int) -> set[int]:
    """A fact and those before it that a negation after them covers, too: "遅れも不足もありません"."""
    covered, position = {last}, last - 1
    while position >= 0 and last - position <= _NEGATABLE:
        if kinds[position] in _BAD and kinds[last] in _BAD:
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


def _has_better(kinds: Sequence[str | None], position: int, negated: set[int]) -> bool:
    """Whether another fact of the clause says what "arrived" or "not arrived" is about."""
    others = [other for other in range(len(kinds)) if other != position and kinds[other] in _OF_ARRIVAL]
    if position in negated or kinds[position] == "not_received":
        return any(other in negated for other in others)
    return False


def _is_count(parts: Sequence[tuple[int, Part]], position: int) -> bool:
    """Whether a number stands there that counts no hours and names no place."""
    if not 0 <= position < len(parts) or parts[position][1].number is None:
        return False
    return position + 1 == len(parts) or not parts[position + 1][1].means("unit", "day", "place", "score_word")


def _is_partial(parts: Sequence[tuple[int, Part]]) -> bool:
    """Whether a clause speaks of a part of the goods: "two boxes", "half", "one of them"."""
    for position, (_, part) in enumerate(parts):
        if part.means("partial"):
            return True
        if part.number is not None and any(
            one.means("goods", "packages") for _, one in parts[position + 1 : position + 4]
        ):
            return True
        if part.means("packages") and position + 1 < len(parts) and parts[position + 1][1].number is not None:
            return True
    return False


def _is_mistyped(parts: Sequence[tuple[int, Part]], position: int) -> bool:
    """Whether "wrong" is about a number that was typed."""
    part = parts[position][1]
    near = parts[max(0, position - 3) : position + 4]
    return part.means("mistyped") and any(one.number is not None for _, one in near)


def _is_elsewhere(parts: Sequence[tuple[int, Part]], kinds: Sequence[str | None], position: int) -> bool:
    """Whether a condition is that of a number, an address, a gate or a truck."""
    if kinds[position] not in ("wrong", "damaged"):
        return False
    around = (*reversed(parts[max(0, position - 3) : position]), *parts[position + 1 : position + 4])
    near = [one for _, one in around if not one.means("light")]
    if any(one.means("goods", "packages", "papers", "damaged") for one in near):
        return False
    return any(one.means("place", "vehicle", "wrong_number", "message") for one in near[:2])
