"""The resolver: when the rate is shown to have fallen again."""

import pytest

from pipeline.domain.detection.resolver import Resolver, delta1
from tests.support.statistics.fold import START


def test_the_resolution_rate_is_half_way_to_the_lower_bound_and_at_least_two_points_above_the_baseline() -> None:
    assert delta1(0.05, 0.15) == pytest.approx(0.10)
    assert delta1(0.05, 0.06) == pytest.approx(0.07)
    assert delta1(0.05, 0.0) == pytest.approx(0.07)
    assert 0.99 < delta1(0.99, 0.995) < 1.0


def test_the_first_pair_counts_one_day_and_an_earlier_day_counts_as_the_last_one() -> None:
    one, other = Resolver(0.1), Resolver(0.1)
    one.step(START, 0.0)
    other.step(START + 900, 0.0)
    assert one.by_bet == other.by_bet == pytest.approx([1 - f + f / 0.9 for f in (0.1, 0.3, 0.6)])
    backwards = one.step(START - 5, 0.0)

    assert backwards == other.step(START + 900, 0.0)
    assert one.last_day == START
