"""Baselines, the response ratio and the threshold."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.detection.baseline import (
    delta_on_responders,
    experience_baseline,
    experience_null,
    fleet_now,
    response_ratio,
    rho,
    sign_null,
    silence_null,
    threshold,
)
from pipeline.domain.detection.detector import Detector
from pipeline.domain.detection.intervals import rate_interval
from tests.support.statistics.fold import START


def test_without_an_estimate_the_response_ratio_is_one() -> None:
    assert rho(None) == rho(math.nan) == rho(0.0) == rho(1.0) == 1.0
    assert rho(response_ratio(0, 0, 500, 100)) == 1.0
    assert rho(response_ratio(40, 0, 500, 100)) == 1.0
    assert rho(response_ratio(40, 9, 500, 0)) == 1.0
    assert response_ratio(40, 0, 500, 100) is None  # no answer is no estimate, not an estimate of 0


def test_the_response_ratio_corrects_for_misperception_and_is_at_most_three() -> None:
    assert rho(2.0) == pytest.approx((1.9 - 0.03) / (0.97 - 0.1))
    assert rho(response_ratio(100, 40, 1000, 200)) == rho(2.0)
    assert rho(2.8) == rho(19.4) == rho(25.0) == rho(math.inf) == 3.0


@given(st.floats(0.001, 0.5), st.floats(1.0, 3.0))
def test_a_higher_response_of_late_customers_raises_the_honest_rate_among_answers(delta0: float, ratio: float) -> None:
    delta = delta_on_responders(delta0, ratio)

    assert delta0 <= delta * (1 + 1e-12)
    assert delta < 1.0
    late, others = delta0 * ratio, 1.0 - delta0
    assert delta == pytest.approx(late / (late + others))


def test_below_two_hundred_pairs_there_is_no_experience_baseline() -> None:
    assert experience_baseline(199, 20.0) is None
    assert experience_baseline(200, 20.0) == 0.1


def test_an_experience_baseline_is_never_zero_or_one() -> None:
    assert experience_baseline(200, 0.0) == 0.5 / 201
    assert experience_baseline(200, 200.0) == 1 - 0.5 / 201
    for total in (0.0, 200.0):
        delta = experience_baseline(200, total)
        assert delta is not None
        Detector().step(START, 1.0, delta)


def test_the_fleets_present_state_follows_a_bad_week_and_forgets_it() -> None:
    usual = [(age, 30, 3.0) for age in range(1, 60)]
    bad_week = [(age, 30, 6.0 if age <= 7 else 3.0) for age in range(1, 60)]
    long_ago = [(age, 30, 6.0 if 40 <= age < 47 else 3.0) for age in range(1, 60)]

    assert fleet_now(0.1, []) == 1.0
    assert fleet_now(0.1, usual) == pytest.approx(1.0)
    assert 1.4 < fleet_now(0.1, bad_week) < 1.5
    assert fleet_now(0.1, long_ago) < 1.03
    assert fleet_now(0.1, [(1, 30, 0.0)]) == 1.0, "a good week lowers nothing"


def test_the_baseline_of_experience_grows_with_spread_and_a_bad_week_up_to_a_ceiling() -> None:
    assert experience_null(0.1, 0.0, 1.0) == 0.1
    assert experience_null(0.1, 0.02, 1.5) == pytest.approx(0.18)
    assert experience_null(0.6, 0.1, 2.0) == 0.9


def test_the_baseline_of_a_sign_needs_others_and_is_neither_tiny_nor_one() -> None:
    assert sign_null(99, 3.0, 0.0) is None
    assert sign_null(400, 20.0, 0.03) == pytest.approx(20.5 / 401 + 0.03)
    assert sign_null(400, 0.0, 0.0) == 0.05
    assert sign_null(400, 400.0, 0.1) == 0.9


def test_the_threshold_divides_the_budget_among_segments_and_levels() -> None:
    assert threshold(200, 1, 1.0) == 73_000.0
    assert threshold(200, 3, 1.0) == 219_000.0
    with pytest.raises(ValueError, match="positive"):
        threshold(0, 1, 1.0)


def test_the_baseline_of_silence_is_the_segments_own_past_or_the_others() -> None:
    own_high = rate_interval(20.0, 100)[1]
    assert silence_null((100, 20.0), (0, 0.0), 0.0, 1.0) == own_high
    assert silence_null((100, 20.0), (1000, 500.0), 0.1, 1.0) == pytest.approx(500.5 / 1001 + 0.1)
    assert silence_null((100, 20.0), (99, 90.0), 0.5, 1.0) == own_high, "too few others say nothing"
    assert silence_null((100, 20.0), (0, 0.0), 0.0, 1.5) == pytest.approx(1.5 * own_high), "as the fleet is doing now"
    assert silence_null((400, 0.0), (1000, 0.0), 0.0, 1.0) == 0.05


def test_without_a_past_and_near_certainty_silence_has_no_baseline() -> None:
    assert silence_null((49, 10.0), (1000, 500.0), 0.1, 1.0) is None
    assert silence_null((1000, 970.0), (0, 0.0), 0.0, 1.0) is None
    assert silence_null((1000, 700.0), (0, 0.0), 0.0, 1.5) is None
