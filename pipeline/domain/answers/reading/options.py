"""Which numbers of a reply are options of the first question, and which is a score."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.domain.answers.reading.clauses import Stated
from pipeline.domain.answers.reading.numerals import MAX_SCORE, Numeral
from pipeline.domain.answers.reading.passage import SAYS_MORE, Part

MAX_OPTION = 4  # of the first question


class Numbers(NamedTuple):
    """The numbers that count: options, a score, and whether some number is neither."""

    options: tuple[tuple[int, Numeral], ...] = ()
    score: tuple[int, Numeral] | None = None
    odd: bool = False

    @property
    def used(self) -> list[Numeral]:
        """The numbers that became a code."""
        return [one for _, one in (*self.options, *((self.score,) if self.score else ()))]


_OPTION_FACTS: dict[int, frozenset[str]] = {
    1: frozenset({"yes", "all_good", "on_time", "complete", "arrived"}),
    2: frozenset({"late"}),
    3: frozenset({"incomplete", "damaged", "wrong_item", "papers_missing"}),
    4: frozenset({"not_received", "no", "incomplete"}),
}


def options(parts: Sequence[Part], found: Sequence[Numeral], facts: Sequence[Stated]) -> Numbers:
    """Options 1 to 4, then a score: of two numbers from 1 to 4 both are options."""
    chosen: list[tuple[int, Numeral]] = []
    given: tuple[int, Numeral] | None = None
    odd = False
    for one in found:
        if one.kind == "odd":
            pair = [] if chosen else _option_pair(parts, one)
            chosen += [(value, one) for value in pair if 1 <= value <= MAX_OPTION]
            given = next(((value, one) for value in pair if not 1 <= value <= MAX_OPTION), given)
            odd = odd or not pair
        elif one.kind == "marked":
            given = (one.value, one)
        elif one.kind == "led" and not _stands_alone(parts, one, facts, bool(chosen)):
            continue
        elif 1 <= one.value <= MAX_OPTION and given is None:
            chosen.append((one.value, one))
        elif one.value <= MAX_SCORE and (chosen or facts) and given is None:
            given = (one.value, one)
        else:
            odd = True
    return Numbers(tuple(chosen), given, odd)


def _stands_alone(parts: Sequence[Part], one: Numeral, facts: Sequence[Stated], after_option: bool) -> bool:
    """Whether a number with words after it is an option with its own words, or a score after an option."""
    return (after_option and not 1 <= one.value <= MAX_OPTION) or _has_label(parts, one, facts)


def _option_pair(parts: Sequence[Part], one: Numeral) -> list[int]:
    """The options in "2,3" or "2-3", or the option and the score in "2,6"."""
    values = [number for part in parts[one.first : one.last] if (number := part.number) is not None]
    links = {part.text for part in parts[one.first : one.last] if part.is_sign}
    if len(values) != 2 or not links or not links <= {",", ".", "-", "/", "&", "+"} or not 1 <= values[0] <= MAX_OPTION:
        return []
    is_score = values[1] == 0 or MAX_OPTION < values[1] <= MAX_SCORE
    return values if 1 <= values[1] <= MAX_OPTION or (is_score and links == {","}) else []


def corrects_option(found: Sequence[Numeral], correction: int | None) -> bool:
    """Whether a text after a later question corrects the answer to the first: "2, not 1", "I meant 2"."""
    said = [one for one in found if one.kind == "bare"]
    takes_back = any(one.negated or (correction is not None and one.first > correction) for one in said)
    return takes_back and bool(said) and all(1 <= one.value <= MAX_OPTION for one in said)


def _has_label(parts: Sequence[Part], one: Numeral, facts: Sequence[Stated]) -> bool:
    """Whether the words after a number mean the same option."""
    allowed = _OPTION_FACTS.get(one.value, frozenset())
    end = one.last
    while end < len(parts) and not (parts[end].is_sign or parts[end].new_line or parts[end].means("but", "because")):
        end += 1
    here = [fact for fact in facts if one.last <= fact.part < end]
    words = [part for part in parts[one.last : end] if not part.meanings or part.means(*SAYS_MORE)]
    if not here:
        return False
    return all(fact.fact in allowed for fact in here) and (not words or one.value in (2, 4))


def score(found: Sequence[Numeral]) -> Numbers:
    """The score after the question for one."""
    marked = [one for one in found if one.kind == "marked"]
    usable = marked or [one for one in found if one.kind in ("bare", "led", "odd")]
    if any(one.kind == "odd" for one in usable) or (not marked and any(one.kind == "odd" for one in found)):
        return Numbers(odd=True)
    bare = [one for one in usable if one.kind != "led"] or usable[:1]
    values = {one.value for one in bare}
    if len(values) == 1 and 0 <= bare[0].value <= MAX_SCORE:
        return Numbers(score=(bare[0].value, bare[0]))
    return Numbers(odd=bool(values))


def marked_score(found: Sequence[Numeral]) -> Numbers:
    """A score in a comment: only a marked one."""
    marked = [one for one in found if one.kind == "marked"]
    return Numbers(score=(marked[-1].value, marked[-1])) if len(marked) == 1 else Numbers()
