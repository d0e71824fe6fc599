"""Facts that no single word states: counts, colours and hours that differ, and things that are only denied."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from pipeline.domain.answers.reading.clauses import OF_ARRIVAL, Clause, Stated, kind_of
from pipeline.domain.answers.reading.passage import Part, Passage

_LAST_HOUR = 24
_NEAR = 10  # parts between two numbers that belong together
_NO_GOODS = (
    "vehicle",
    "place",
    "unit",
    "day",
    "time_noun",
    "service",
    "action",
    "message",
    "papers",
    "hours",
    "detail",
)
_SIZES = frozenset({"xs", "s", "m", "l", "xl", "xxl", "p", "g", "gg"})
_SETTLED = frozenset({"missing", "damaged", "wrong", "late", "not", "not_after", "other_time", "wish", "if"})


def as_agreed(clause: Clause, sentence: Sequence[Part]) -> list[Stated]:
    """ "At two, as agreed": with an hour, a truck or an arrival, what was agreed is the time."""
    if any(part.means("arrived", "unit", "vehicle") for part in sentence):
        return [Stated("on_time", part.start, part.end, at) for at, part in clause.parts if part.means("agreed")]
    return []


def as_due(text: Passage, clause: Clause, sentence: Sequence[Part]) -> list[Stated]:
    """ "It was due at ten and came at two": what came at another time than it was due is late."""
    if text.says("only", "on_time", "early", "late", "not_late", "not_received", "other_time", "agreed"):
        return []
    hours = [part.number for part in sentence if part.number is not None and part.number <= _LAST_HOUR]
    if not any(part.means("arrived") for part in sentence) and not (
        len(hours) == 2 and any(part.means("unit") for part in sentence)
    ):
        return []
    if len(hours) > 1 and hours[-1] == hours[0]:
        return []
    return [Stated("late", part.start, part.end, at) for at, part in clause.parts if part.means("due")][:1]


def other_colour(text: Passage) -> list[Stated]:
    """ "Ordered blue, got red": one colour or variant was ordered and another came."""
    named = [
        (index, part)
        for index, part in enumerate(text.parts)
        if part.means("colour", "variant") or (part.text in _SIZES)
    ]
    if len(named) != 2 or named[0][1].text == named[1][1].text or not text.says("ordered", "wish"):
        return []
    if any(part.means("vehicle", "place", "unit") for part in text.parts if part.text not in _SIZES):
        return []
    index, part = named[1]
    return [Stated("wrong_item", part.start, part.end, index)]


def excepted(text: Passage) -> list[Stated]:
    """ "All but the hinges": what is excepted from all, and is no truck, place or hour, did not come."""
    offset = 0
    for sentence in text.sentences():
        at = next((index for index, part in enumerate(sentence) if part.means("except")), None)
        if at is not None and any(part.means("every", "complete") for part in sentence):
            before = sentence[at].language == "ja"
            named = sentence[:at] if before else list(_excepted_words(sentence[at + 1 :]))
            if _may_be_goods(named):
                first = offset + (0 if before else at + 1)
                return [Stated("incomplete", named[0].start, named[-1].end, first)]
        offset += len(sentence)
    return []


def _excepted_words(parts: Sequence[Part]) -> Iterator[Part]:
    """The words after "except", up to the end of the clause or the next word with "all"."""
    for part in parts:
        if part.ends_clause or part.means("every", "complete", "arrived", "but"):
            return
        yield part


def _may_be_goods(parts: Sequence[Part]) -> bool:
    if any(part.means(*_NO_GOODS) for part in parts):
        return False
    return any(not part.is_sign and (not part.meanings or part.means("goods", "packages", "partial")) for part in parts)


def counted_short(text: Passage) -> list[Stated]:
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
    came = said & {"arrived", "only", "counted"} or _same_unit(parts, first, last)
    if not (came and said & {"ordered", "score_of", "only"}) or said & _SETTLED:
        return False
    if "ordered" in said and said & {"arrived", "counted"} and (parts[first].number or 0) > (parts[last].number or 0):
        return True
    if "ordered" in said and (parts[first].number or 0) > (parts[last].number or 0) and _same_unit(parts, first, last):
        return True
    return _counts_packages(parts, first) or _counts_packages(parts, last)


def _same_unit(parts: Sequence[Part], first: int, last: int) -> bool:
    """Whether the same word follows two numbers: "20脚のところ18脚"."""
    return last + 1 < len(parts) and parts[first + 1].text == parts[last + 1].text and not parts[last + 1].is_sign


def _counts_packages(parts: Sequence[Part], position: int) -> bool:
    return any(part.means("packages", "goods") for part in parts[position + 1 : position + 3])


def _names_other(parts: Sequence[Part], position: int) -> bool:
    """Whether a number is a time, a date, or the number of a gate."""
    around = [*parts[max(0, position - 1) : position], *parts[position + 1 : position + 2]]
    return any(part.means("unit", "place", "day") or part.text == ":" for part in around)


def not_yet(clause: Clause) -> list[Stated]:
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


def no_goods(clause: Clause) -> list[Stated]:
    """ "No delivery": a negation directly at the goods, with nothing after it."""
    words = [(index, part) for index, part in clause.parts if not part.means("this_time", "thanks", "please", "emoji")]
    if len(words) == 2 and words[0][1].means("not", "no") and words[1][1].means("goods"):
        index, part = words[1]
        return [Stated("not_received", words[0][1].start, part.end, index)]
    return []


def of_aspects(clause: Clause, found: Sequence[Stated]) -> list[Stated]:
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


def lacks(clause: Clause) -> list[Stated]:
    """Persian "it had no charger": a thing that no vocabulary has, and a negation."""
    words = [(index, part) for index, part in clause.parts if not part.means("light", "thanks", "emoji")]
    if len(words) == 2 and not words[0][1].meanings and words[1][1].means("not_after") and words[1][1].language == "fa":
        index, part = words[1]
        return [Stated("incomplete", words[0][1].start, part.end, index)]
    return []


def no_papers(clause: Clause, papers: list[int]) -> list[Stated]:
    """ "No delivery note": a negation directly at the papers."""
    for position in papers:
        index, part = clause.parts[position]
        near = [*clause.parts[max(0, position - 3) : position]]
        after = clause.parts[position + 1 : position + 4]
        if any(one.means("not") for _, one in after) and not any(kind_of(one) in OF_ARRIVAL for _, one in clause.parts):
            return [Stated("papers_missing", part.start, part.end, index)]
        if any(one.means("not", "no") for _, one in near) or any(one.means("not_after") for _, one in after):
            return [Stated("papers_missing", part.start, part.end, index)]
    return []
