"""What the words of a text state about a delivery: arrival, completeness, conditions. Negations apply in their clause.

What is said of another delivery, of the future or of what might have been is left out.
"""

from collections.abc import Sequence

from pipeline.domain.answers.reading.clauses import (
    KINDS,
    OF_ARRIVAL,
    Clause,
    Fact,
    Stated,
    clauses_of,
    kinds_of,
    negations,
    sentences_of,
)
from pipeline.domain.answers.reading.implied import (
    as_agreed,
    as_due,
    counted_short,
    excepted,
    lacks,
    no_goods,
    no_papers,
    not_yet,
    of_aspects,
    other_colour,
)
from pipeline.domain.answers.reading.passage import Part, Passage

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
_UNREAL: dict[Fact, Fact] = {"on_time": "late", "complete": "incomplete"}  # "10 if it had been on time"
_GOOD_OR_TIME = ("on_time", "late", "complete", "all_good", "yes", "arrived")
_GOOD: frozenset[Fact] = frozenset({"on_time", "complete", "all_good", "yes", "arrived"})


def stated(text: Passage) -> list[Stated]:
    """The facts of a text, in their order."""
    found: list[Stated] = []
    if not text.says(
        *KINDS,
        "not_yet",
        "not_after",
        "papers",
        "goods",
        "packages",
        "ordered",
        "time_noun",
        "amount_noun",
        "colour",
        "except",
        "due",
    ):
        return found
    elsewhere = False
    sentence = -1
    clauses = clauses_of(text)
    sentences = sentences_of(clauses)
    unreal = {one.sentence for one in clauses if one.says("unreal")}
    for number, clause in enumerate(clauses):
        if clause.sentence != sentence:
            sentence, elsewhere = clause.sentence, False
        if clause.says("other_time", "wish", "if"):
            elsewhere = True
        elif clause.says("this_time") or clause.after_but:
            elsewhere = False
        facts = _of_clause(clause)
        if number and _is_of_papers(clauses[number - 1], clause):
            facts = [one._replace(fact="papers_missing") if one.fact == "incomplete" else one for one in facts]
        if text.says("agreed") and not any(one.fact in ("on_time", "late") for one in facts):
            facts += as_agreed(clause, sentences[sentence])
        if clause.says("due"):
            facts += as_due(text, clause, sentences[sentence])
        if sentence in unreal:
            facts = [one._replace(fact=_UNREAL[one.fact]) for one in facts if one.fact in _UNREAL]
        elif elsewhere:
            facts = [one for one in facts if _stands_anyway(clause, one)]
        if clause.question:
            facts = [] if _is_denied(clauses, number) else [one for one in facts if one.fact not in _GOOD]
            if clause.says("rest"):
                facts = [one for one in facts if one.fact not in ("not_received", "incomplete")]  # when will it come?
        found += facts
    if text.says("except") and all(one.fact in _GOOD_OR_TIME for one in found):
        found += excepted(text)
    if text.says("colour", "variant", "ordered") and not any(one.fact == "wrong_item" for one in found):
        found += other_colour(text)
    counted = text.says("ordered", "score_of", "only") and text.says("digits", "number")
    if counted and not any(one.fact in ("incomplete", "not_received") for one in found):
        found += counted_short(text)
    return found


def _is_of_papers(before: Clause, clause: Clause) -> bool:
    """Whether a clause is about the papers of the clause before: "we need the certificate, it was not enclosed"."""
    if before.sentence != clause.sentence or not before.says("papers"):
        return False
    return not (before.says(*KINDS, "goods", "packages") or clause.says("papers", "goods", "packages", "partial"))


def _is_denied(clauses: Sequence[Clause], question: int) -> bool:
    """Whether a question is the writer's own and answered with no: "late? no, early"."""
    return question + 1 < len(clauses) and clauses[question + 1].parts[0][1].means("no")


def _stands_anyway(clause: Clause, one: Stated) -> bool:
    """Whether a fact in a wish stands: "please send the missing box" says that a box is missing."""
    if clause.says("other_time", "if"):
        return False
    if one.fact == "not_received":
        return True
    return one.fact in ("incomplete", "damaged", "wrong_item", "papers_missing") and not clause.says("not", "not_after")


def _of_clause(clause: Clause) -> list[Stated]:
    parts = clause.parts
    kinds = kinds_of(clause)
    negated = negations(clause, kinds)
    only, of_goods, of_papers = clause.says("only"), clause.says("goods", "packages"), clause.says("papers")
    whole = not only and clause.says("every")
    partial = not clause.says("due") and (
        clause.says("partial") or (of_goods and _is_partial(parts)) or (only and _only_some(parts))
    )
    papers = [position for position, (_, part) in enumerate(parts) if part.means("papers")] if of_papers else []
    used_papers = False
    found: list[Stated] = []
    rest = False
    for position, (index, part) in enumerate(parts):
        rest = rest or part.means("rest")
        kind = kinds[position]
        if kind is None or _is_elsewhere(parts, kinds, position) or _is_mistyped(parts, position):
            continue
        if kind == "ok" and (partial or clause.says("thanks", "greeting")):  # ok: that our message arrived
            continue
        fact = _TURNED[kind] if position in negated else _PLAIN[kind]
        if fact in ("not_received", "arrived") and _has_better(kinds, position, negated):
            continue
        if fact == "wrong_item" and papers and not of_goods:
            continue  # wrong papers are no wrong goods
        if fact == "not_received" and _of_all(parts, position):
            fact = "incomplete"
        if fact == "wrong_item" and part.means("instead") and _is_count(parts, position + 1):
            fact = "incomplete"  # "one instead of two"
        if fact in ("incomplete", "not_received") and papers and not used_papers:
            fact, used_papers = "papers_missing", True
        elif (partial or rest) and (fact == "not_received" or (fact == "arrived" and only)):
            fact = "incomplete"
        if kind in ("on_time", "all_good") and part.means("complete") and position not in negated:
            found.append(Stated("complete", part.start, part.end, index))
        if fact == "arrived" and whole:
            found.append(Stated("complete", part.start, part.end, index))
        if fact is not None:
            found.append(Stated(fact, part.start, part.end, index, rest))
    if papers and not used_papers:
        found += no_papers(clause, papers)
    found += of_aspects(clause, found)
    return found or no_goods(clause) or lacks(clause) or not_yet(clause)


def _of_all(parts: Sequence[tuple[int, Part]], position: int) -> bool:
    """Whether "not received" is followed by "all": "we did not get everything"."""
    return any(part.means("every") for _, part in parts[position + 1 : position + 3])


def _has_better(kinds: Sequence[str | None], position: int, negated: set[int]) -> bool:
    """Whether another fact of the clause says what "arrived" or "not arrived" is about."""
    others = [other for other in range(len(kinds)) if other != position and kinds[other] in OF_ARRIVAL]
    if position in negated or kinds[position] == "not_received":
        return any(other in negated for other in others)
    return False


def _is_count(parts: Sequence[tuple[int, Part]], position: int) -> bool:
    """Whether a number stands there that counts no hours and names no place."""
    if not 0 <= position < len(parts) or parts[position][1].number is None:
        return False
    return position + 1 == len(parts) or not parts[position + 1][1].means("unit", "day", "place", "score_word")


def _only_some(parts: Sequence[tuple[int, Part]]) -> bool:
    """Whether "only" stands directly before a count, or a count before it."""
    return any(
        part.means("only") and any(_is_count(parts, other) for other in range(position - 2, position + 3))
        for position, (_, part) in enumerate(parts)
    )


def _is_partial(parts: Sequence[tuple[int, Part]]) -> bool:
    """Whether a clause counts goods: "two boxes", "boxes 3 and 4"."""
    for position, (_, part) in enumerate(parts):
        if part.number is not None and _counts_goods([one for _, one in parts[position + 1 : position + 4]]):
            return True
        if part.means("packages") and position + 1 < len(parts) and parts[position + 1][1].number is not None:
            return True
    return False


def _counts_goods(after: Sequence[Part]) -> bool:
    """Whether goods follow a number: "two wet boxes", and not "three weeks and no parcel"."""
    if not any(one.means("goods", "packages") for one in after):
        return False
    return after[0].means("goods", "packages") or not after[0].means("unit", "day")


def _is_mistyped(parts: Sequence[tuple[int, Part]], position: int) -> bool:
    """Whether "wrong" is about a number that was typed."""
    if not parts[position][1].means("mistyped"):
        return False
    return any(one.number is not None for _, one in parts[max(0, position - 3) : position + 4])


def _is_elsewhere(parts: Sequence[tuple[int, Part]], kinds: Sequence[str | None], position: int) -> bool:
    """Whether a condition is that of a number, an address, a gate or a truck."""
    if kinds[position] == "missing":
        return _is_of_driver(parts, position)
    if kinds[position] == "late" and parts[position][1].means("slow"):
        return any(one.means("action") for _, one in parts[:position])  # "unloading was slow"
    if kinds[position] not in ("wrong", "damaged"):
        return False
    around = (*reversed(parts[max(0, position - 3) : position]), *parts[position + 1 : position + 4])
    near = [one for _, one in around if not one.means("light")]
    if any(one.means("goods", "packages", "papers", "damaged") for one in near):
        return False
    return any(one.means("place", "vehicle", "wrong_number", "message") for one in near[:2]) or (
        kinds[position] == "damaged" and any(one.means("vehicle") for one in near)
    )


def _is_of_driver(parts: Sequence[tuple[int, Part]], position: int) -> bool:
    """Whether what is missing is the driver's: "the driver had no helmet"."""
    if any(one.means("goods", "packages", "papers", "partial", "every") for _, one in parts):
        return False
    return any(one.means("vehicle") for _, one in parts[max(0, position - 3) : position])
