"""Numbers in a reply: which of them is an option, which is a score, and which only counts boxes or names a gate.

A number is an answer if nothing else stands in its part of the sentence, if its own words follow it ("2 late"), or if
it is marked as a score ("9/10", "8 out of 10"). Decimals, ranges and values off the scale are never rounded.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pipeline.domain.answers.reading.passage import CONTROLS, Part, Passage

Kind = Literal["bare", "led", "marked", "odd", "quantity"]
MAX_SCORE = 10
_NAMES = ("goods", "packages", "unit", "place", "day", "hours", "counting")
_AROUND = ("please", "thanks", "greeting", "score_word", "approx", "emoji", "yes", "ok")
_DIVIDERS = ("but", "because", "correct", "and", "if")
_MOST_WORDS_BEFORE = 3  # of a sentence that states a number: "my answer is 2"
_NUMERIC = frozenset({"digits", "approx", "full_marks", "off_scale"})
_LONGEST_ANSWER = 4  # digits: a longer number is that of a telephone or an order
_MOST_NUMBERS = 40  # of a text: one with more is a list, which is for a person
_UNSPACED = ("ja", "zh")


class Numeral(NamedTuple):
    """A number of a reply: its value, its kind, and the indexes of its parts (`last` excluded).

    bare: alone in its part of the sentence. led: words follow it there that do not count anything. marked: said to be a
    score. odd: a decimal, a range, a percentage or a value off the scale. quantity: counts or names something.
    """

    value: int
    kind: Kind
    first: int
    last: int
    negated: bool = False


def numerals(text: Passage, scoring: bool = False) -> list[Numeral]:
    """The numbers of a text, in their order. `scoring`: a score was asked for, so one unknown word may be with it."""
    found: list[Numeral] = []
    if not text.says("digits", "number", "full_marks", "off_scale"):
        return found
    parts, index = text.parts, 0
    names = text.says("place", "vehicle", "unit", "hours", "ordered")
    several = sum(part.number is not None for part in parts) > 1
    unknown = sum(map(_is_unknown, parts))
    context = _Context(names, several, scoring and not several and not names and unknown == 1)
    while index < len(parts) and len(found) < _MOST_NUMBERS:
        part = parts[index]
        if part.number is None and _NUMERIC.isdisjoint(part.meanings):
            index += 1
        elif part.means("approx") and _number_at(parts, index + 1) is not None and part.digits is None:
            index += 1  # Portuguese "um nove": the article
        elif part.number is not None or part.digits is not None:
            found.append(_numeral(parts, index, context))
            index = found[-1].last
        elif part.means("off_scale"):
            found.append(Numeral(-1, "odd", index, index + 1))
            index += 1
        elif part.means("full_marks"):
            found.append(_full_marks(parts, index))
            index = found[-1].last
        else:
            index += 1
    return found


class _Context(NamedTuple):
    """Of a text: whether it speaks of places or units, has several numbers, or has one unknown word with a score."""

    names: bool
    several: bool
    one_unknown: bool = False


_STRICT = _Context(names=True, several=False)  # "our 3 forklifts": words precede a number that counts


def _full_marks(parts: Sequence[Part], index: int) -> Numeral:
    after = _number_at(parts, index + 1)
    if after is None:
        return Numeral(MAX_SCORE, "marked", index, index + 1)
    step = index + 2
    while step < len(parts) and step < index + 6:  # "out of full marks 10: 8"
        value = _number_at(parts, step)
        if value is not None:
            return Numeral(value, "marked" if value <= MAX_SCORE else "odd", index, step + 1)
        if not (parts[step].is_sign or parts[step].means("light", "score_word", "scale_first", "unit")):
            break
        step += 1
    return Numeral(MAX_SCORE, "marked", index, index + 1)


def _numeral(parts: Sequence[Part], index: int, context: _Context) -> Numeral:
    value = _number_at(parts, index)
    if value is None:
        return Numeral(-1, "quantity", index, index + 1)
    return (
        _scaled(parts, index, value)
        or _with_unspaced_sign(parts, index, value)
        or _ranged(parts, index, value)
        or _single(parts, index, value, context)
    )


def _number_at(parts: Sequence[Part], index: int) -> int | None:
    if not 0 <= index < len(parts):
        return None
    part = parts[index]
    if part.digits is not None and len(part.digits) > 1 and part.digits[0] == "0":
        return None
    return part.number


def _skip_light(parts: Sequence[Part], index: int, *names: str) -> int:
    while index < len(parts) and parts[index].means(*names):
        index += 1
    return index


def _scaled(parts: Sequence[Part], index: int, value: int) -> Numeral | None:
    """ "9/10", "8 out of 10", "10点中8点": a score, unless goods follow or the scale is another."""
    step = index + 1 if _is_of_next(parts, index + 1) else _skip_light(parts, index + 1, "score_word")
    first_is_scale = step < len(parts) and parts[step].means("scale_first")
    if first_is_scale and value == MAX_SCORE:
        other = step + 1
        while other < len(parts) and other < step + 4 and _number_at(parts, other) is None:
            other += 1
        score = _number_at(parts, other)
        if score is not None:
            return _marked(parts, score, index, _skip_light(parts, other + 1, "score_word"))
    if step < len(parts) and (parts[step].text == "/" or parts[step].means("score_of")):
        other = _skip_light(parts, step + 1, "light")
        scale = _number_at(parts, other)
        if scale is None:
            return None
        last = _skip_light(parts, other + 1, "score_word")
        if _counts_something(parts, last) or (scale != MAX_SCORE and _is_said_of_goods(parts, last)):
            return Numeral(value, "quantity", index, last)
        if scale == MAX_SCORE:
            return _marked(parts, value, index, last)
        if (
            parts[step].text == "/"
            and scale > MAX_SCORE
            and value <= 31
            and last < len(parts)
            and parts[last].text == "/"
        ):
            return Numeral(value, "quantity", index, last)  # a date
        return Numeral(value, "odd", index, last)
    if step + 2 < len(parts) and parts[step].text == "(" and parts[step + 1].means("full_marks"):
        end = step + 2
        while end < len(parts) and end < step + 6 and parts[end].text != ")":
            end += 1
        return _marked(parts, value, index, min(end + 1, len(parts)))
    return None


def _is_said_of_goods(parts: Sequence[Part], index: int) -> bool:
    """Whether what follows "3 of 5" is said of goods: "came", "missing", "broken"."""
    return index < len(parts) and parts[index].means("arrived", "missing", "not_received", "damaged", "wrong")


def _marked(parts: Sequence[Part], value: int, first: int, last: int) -> Numeral:
    return Numeral(value, "marked" if value <= MAX_SCORE else "odd", first, last)


def _with_unspaced_sign(parts: Sequence[Part], index: int, value: int) -> Numeral | None:
    """A decimal, a time of day, a percentage, a negative number, a telephone number."""
    part = parts[index]
    after = parts[index + 1] if index + 1 < len(parts) else None
    before = parts[index - 1] if index > 0 else None
    if after is not None and after.text == "%":
        return Numeral(value, "odd", index, index + 2)
    if after is not None and after.text in (".", ",", ":") and not after.spaced:
        second = parts[index + 2] if index + 2 < len(parts) else None
        scored = after.text == "," and _is_score_word(parts, index + 3)  # "2,6点": an option, and a score
        if second is not None and second.digits is not None and not second.spaced and not scored:
            counts = after.text == ":" or len(second.digits) > 2 or _counts_something(parts, index + 3)
            kind: Kind = "quantity" if counts else "odd"
            return Numeral(value, kind, index, index + 3)
    if before is not None and not part.spaced and before.text in ("-", "+", "#", "&", "@"):
        alone = index == 1 or (before.spaced and not (index > 1 and parts[index - 2].number is not None))
        if before.text == "-" and alone and before.spaced:
            return Numeral(-value, "odd", index - 1, index + 1)
        if before.text in "+#@" or not before.spaced:
            return Numeral(value, "quantity", index, index + 1)
    if after is not None and after.text == "-" and not after.spaced and index + 2 < len(parts):
        third = parts[index + 2]
        if not third.spaced and third.digits is None and third.text[:1].isalpha():
            return Numeral(value, "quantity", index, index + 1)  # "1-way"
    return None


def _ranged(parts: Sequence[Part], index: int, value: int) -> Numeral | None:
    """ "7-8", "7 or 8", "seven to eight", "seven and a half": none of them."""
    step = index + 1
    if step < len(parts) and parts[step].means("score_word") and not parts[step].means("or"):
        step += 1
    if step >= len(parts):
        return None
    link = parts[step]
    if link.means("half_more"):
        return Numeral(value, "odd", index, step + 1)
    other = _number_at(parts, step + 1)
    if other is not None and _is_out_of(parts, step + 2):
        return None
    if other is not None and link.means("decimal") and parts[index].digits is None:
        return Numeral(value, "odd", index, step + 2)
    if other is not None and link.means("and") and _opens_range(parts, index):
        return Numeral(value, "odd", index, step + 2)
    if other is not None and (
        link.text in ("-", "~") or (link.means("or", "range") and not link.means("and", "not", "no"))
    ):
        return Numeral(value, "odd", index, step + 2)
    return Numeral(value, "odd", index, index + 2) if _are_neighbours(parts, index, value) else None


def _are_neighbours(parts: Sequence[Part], index: int, value: int) -> bool:
    """Chinese and Japanese write a range as two number words: "七八" is seven or eight."""
    if parts[index].language not in _UNSPACED or index + 1 >= len(parts):
        return False
    words = parts[index].digits is None and parts[index + 1].digits is None
    return words and parts[index + 1].number == value + 1


def _opens_range(parts: Sequence[Part], index: int) -> bool:
    """Whether "between" precedes a number."""
    return index > 0 and parts[index - 1].means("range") and not parts[index - 1].means("light", "score_of")


def _single(parts: Sequence[Part], index: int, value: int, context: _Context) -> Numeral:
    part = parts[index]
    before = parts[index - 1] if index > 0 else None
    if index + 1 < len(parts) and parts[index + 1].means("other_scale"):
        return Numeral(value, "odd", index, index + 2)  # "four stars"
    if part.digits is None and part.means("no") and not _is_score_word(parts, index + 1):
        return Numeral(value, "quantity", index, index + 1)  # Persian: nine and no are one word
    if before is not None and before.means(*_NAMES) and not before.means("score_word", "light"):
        return Numeral(value, "quantity", index, index + 1)
    if before is not None and not part.spaced and part.digits and before.text[-1:].isalpha() and before.text.isascii():
        return Numeral(value, "quantity", index, index + 1)
    if _counts_something(parts, index + 1) or any(one.means("past") for one in parts[max(0, index - 2) : index]):
        return Numeral(value, "quantity", index, index + 1)  # "after 5" is an hour
    if part.digits is not None and len(part.digits) > _LONGEST_ANSWER:
        return Numeral(value, "quantity", index, index + 1)
    if value > 31 or (part.digits is not None and len(part.digits) > 2):
        return Numeral(value, "odd" if _is_alone(parts, index, index + 1, context) else "quantity", index, index + 1)
    of_next = _is_of_next(parts, index + 1)
    marked = _is_score_word(parts, index - 1) or (_is_score_word(parts, index + 1) and not of_next)
    last = index + 1 if of_next else _skip_light(parts, index + 1, "score_word")
    negated = context.several and _is_negated(parts, index)
    if context.one_unknown and value <= MAX_SCORE:
        first, end = _with_unknown(parts, index)
        if end - first > 1 and _is_alone(parts, first, end, context):
            return Numeral(value, "marked" if marked else "bare", first, end)
    if _is_alone(parts, index, last, context):
        kind: Kind = "odd" if value > MAX_SCORE else "marked" if marked else "bare"
        return Numeral(value, kind, index, last, negated)
    if marked and value <= MAX_SCORE:
        return Numeral(value, "marked", index, last, negated)
    return Numeral(value, "led" if _begins(parts, index, _STRICT) else "quantity", index, last, negated)


def _is_score_word(parts: Sequence[Part], index: int) -> bool:
    return (
        0 <= index < len(parts)
        and parts[index].means("score_word")
        and not parts[index].means("goods", "packages", "unit")
    )


def _is_of_next(parts: Sequence[Part], index: int) -> bool:
    """Whether a score word belongs to the number after it: "2 score 5"."""
    if not _is_score_word(parts, index) or parts[index].language in _UNSPACED or not parts[index].spaced:
        return False
    return not parts[index].means("score_of") and _number_at(parts, index + 1) is not None


def _is_out_of(parts: Sequence[Part], index: int) -> bool:
    """Whether a scale follows: in "1 - 10 of 10" the first number is an option."""
    if not 0 <= index < len(parts) or not (parts[index].text == "/" or parts[index].means("score_of")):
        return False
    return _number_at(parts, index + 1) == MAX_SCORE


def _is_negated(parts: Sequence[Part], index: int) -> bool:
    """ "2, not 1", and in languages whose negation follows "1 not, 2": one of two numbers is taken back."""
    before = index - 1
    while before >= 0 and parts[before].means("light", "and"):
        before -= 1
    if before >= 0 and parts[before].means("not"):
        return True
    after = index + 1
    while after < len(parts) and parts[after].means("light") and not parts[after].is_sign:
        after += 1
    return after < len(parts) and parts[after].means("not_after", "not_this")


def _counts_something(parts: Sequence[Part], index: int) -> bool:
    """Whether the number before this index counts what follows it: "2 boxes", "3 wet boxes", "10 minutes"."""
    for step in range(index, min(index + 3, len(parts))):
        part = parts[step]
        if part.is_sign or part.means(*_DIVIDERS) or part.number is not None:
            return False
        if part.means(*_NAMES) and not part.means("light", "score_word"):
            return True
        if step == index and part.language == "fa" and part.means("packages"):
            return not (step + 1 < len(parts) and parts[step + 1].number is not None)  # it also means "to"
        if part.means("on_time", "late", "not_received", "all_good", "yes", "complete") or part.new_line:
            return False
    return False


def _begins(parts: Sequence[Part], index: int, context: _Context) -> bool:
    """Whether only courtesies, or a few words like "my answer is", precede a number in its part of the sentence."""
    before = index - 1
    few = 0 if context.names else _MOST_WORDS_BEFORE  # "we are at 4" may name a house
    while before >= 0 and not parts[before + 1].new_line:
        part = parts[before]
        if part.is_sign or part.means(*_DIVIDERS) or part.number is not None:
            return True
        if not part.means(*_AROUND) and not part.means("not", "not_after", "no", "full_marks"):
            if not part.means("light") or few == 0:
                return False
            few -= 1
        before -= 1
    return True


def _is_alone(parts: Sequence[Part], first: int, last: int, context: _Context) -> bool:
    """Whether nothing but courtesies stands with a number in its part of the sentence."""
    if not _begins(parts, first, context):
        return False
    few = _MOST_WORDS_BEFORE
    for index in range(last, len(parts)):
        part = parts[index]
        if part.new_line or part.is_sign or part.means(*_DIVIDERS, *CONTROLS, "not") or part.number is not None:
            return True
        if part.means("thanks") or (part.means("score_word") and _is_of_next(parts, index)):
            return True
        if not part.means(*_AROUND, "not_after"):
            if not part.means("light") or few == 0:
                return False
            few -= part.language not in _UNSPACED
    return True


def _with_unknown(parts: Sequence[Part], index: int) -> tuple[int, int]:
    """The parts of a score and of an unknown word next to it: "a straight 8"."""
    first = index - (index > 0 and _is_unknown(parts[index - 1]))
    last = index + 1 + (first == index and index + 1 < len(parts) and _is_unknown(parts[index + 1]))
    return first, last


def _is_unknown(part: Part) -> bool:
    return not part.meanings and not part.is_sign
