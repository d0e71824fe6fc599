"""Day blocks and settlement: the reference implementation agrees with the detector."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.detection.detector import Detector
from tests.support.statistics.detection_blocks import Answer, Block, compose, day_block, settle
from tests.support.statistics.fold import START, answers, baselines

days = st.lists(
    st.tuples(st.integers(1, 9), st.lists(st.tuples(answers, baselines), min_size=1, max_size=8)), max_size=8
)


@given(days)
def test_composed_day_blocks_equal_single_steps(
    days: list[tuple[int, list[tuple[float, float]]]],
) -> None:
    detector, whole, day = Detector(), Block(), START
    for i, (gap, pairs) in enumerate(days):
        mass = gap if i else 1
        day += gap
        for x, delta in pairs:
            detector.step(day, x, delta)
        whole = compose(whole, day_block(mass, pairs))

    assert whole.apply(Detector().by_bet) == pytest.approx(detector.by_bet, rel=1e-9)


@given(days, days)
def test_composition_of_blocks_is_associative(
    first: list[tuple[int, list[tuple[float, float]]]], second: list[tuple[int, list[tuple[float, float]]]]
) -> None:
    blocks = [day_block(mass, pairs) for mass, pairs in first + second]
    left = Block()
    for block in blocks:
        left = compose(left, block)
    right = Block()
    for block in reversed(blocks):
        right = compose(block, right)

    assert left.a == pytest.approx(right.a, rel=1e-9)
    assert left.b == pytest.approx(right.b, rel=1e-9)


def _answer(day: int, order: str, x: float, account: str = "acme", well: bool = True) -> Answer:
    return Answer(day=day, order=order, account=account, claimed_well=well, x=x)


def _settled(answers: Sequence[Answer], cap: int = 3) -> list[tuple[int, str, float]]:
    return [(s.day, s.order, s.x) for s in settle(answers, cap)]


def test_several_answers_of_an_order_are_one_mean_on_the_day_of_the_first() -> None:
    assert _settled([_answer(0, "o1", 1.0), _answer(0, "o2", 0.0), _answer(4, "o1", 0.0)]) == [
        (0, "o1", 0.5),
        (0, "o2", 0.0),
    ]


def test_a_second_answer_does_not_count_an_order_over_the_cap() -> None:
    first = [_answer(0, f"o{i}", 1.0) for i in range(4)]

    assert [order for _, order, _ in _settled([*first, _answer(1, "o3", 1.0)])] == ["o0", "o1", "o2"]


def test_the_cap_is_per_account_and_day() -> None:
    answers = [_answer(0, "o1", 1.0), _answer(0, "o2", 1.0, account="bolt"), _answer(1, "o3", 1.0)]

    assert len(_settled(answers, cap=1)) == 3


def test_orders_reported_late_do_not_count_towards_the_cap() -> None:
    answers = [_answer(0, "o1", 1.0, well=False), _answer(0, "o2", 1.0)]

    assert _settled(answers, cap=1) == [(0, "o2", 1.0)]
