"""The simulation of `unvarnished simulate`, which checks the guarantee about false alarms."""

import io

import pytest
from rich.console import Console

from pipeline.simulation import detection


@pytest.fixture(scope="module")
def small() -> detection.Result:
    return detection.run(segments=10, days=120, seeds=2, pairs_per_day=2.0, repeats=5)


@pytest.mark.slow
def test_honest_segments_alarm_at_most_as_often_as_the_budget_allows_and_the_naive_rule_far_more_often() -> None:
    result = detection.run(segments=200, days=365, seeds=5, pairs_per_day=3.0, budget=1.0, hidden=())

    assert result.pairs == 200 * 365 * 5 * 3
    assert result.segment_years == 1000.0
    assert result.bound_per_segment_year == 0.005
    # Five simulated years of the fleet at one false alarm a year, each segment exactly at the baseline.
    assert result.false_alarms <= 5
    assert result.naive_alarms_per_segment_year > 1.0


def test_the_alarm_budget_is_met_where_there_are_alarms_to_count() -> None:
    """With a budget this large alarms do occur, so an invalid detector could not pass with zero alarms."""
    result = detection.run(segments=50, days=365, seeds=4, pairs_per_day=3.0, budget=100.0, hidden=())

    assert 0 < result.false_alarms <= 100 * 4


def test_a_change_is_detected_about_as_soon_as_in_the_reference_table() -> None:
    """docs/statistics.md: 113 pairs at 3 per day, 146 at 30, if 80 % of the late orders are reported as on time."""
    few = detection.run(segments=200, days=1, seeds=1, pairs_per_day=3.0, hidden=(0.8,), repeats=100).delays[0]
    many = detection.run(segments=200, days=1, seeds=1, pairs_per_day=30.0, hidden=(0.8,), repeats=100).delays[0]

    assert few.median_pairs == pytest.approx(113, rel=0.15)
    assert many.median_pairs == pytest.approx(146, rel=0.15)
    assert few.alarmed == many.alarmed == 100


def test_hiding_late_orders_raises_the_share_of_answers_that_contradict() -> None:
    assert detection.rate_when_hiding(0.0) == pytest.approx(0.04)
    assert detection.rate_when_hiding(0.4) == pytest.approx(0.1013, abs=5e-5)
    assert detection.rate_when_hiding(0.8) == pytest.approx(0.1551, abs=5e-5)


def test_the_same_arguments_give_the_same_figures(small: detection.Result) -> None:
    assert detection.run(segments=10, days=120, seeds=2, pairs_per_day=2.0, repeats=5) == small


def test_another_seed_gives_another_company() -> None:
    one = detection.run(segments=20, days=200, seeds=1, hidden=())
    two = detection.run(segments=20, days=200, seeds=2, hidden=())

    assert 0 < one.naive_alarms < two.naive_alarms != 2 * one.naive_alarms


def test_a_change_too_small_to_detect_has_no_median() -> None:
    delay = detection.run(segments=200, days=1, seeds=1, pairs_per_day=0.2, hidden=(0.01,), repeats=3).delays[0]

    assert delay.alarmed == 0
    assert delay.median_pairs is None
    assert delay.median_days is None


def test_fractions_of_a_pair_a_day_are_spread_over_the_days() -> None:
    result = detection.run(segments=3, days=40, seeds=1, pairs_per_day=0.25, hidden=())

    assert result.pairs == 3 * 10


def test_a_company_without_segments_or_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        detection.run(segments=0)
    with pytest.raises(ValueError, match="positive"):
        detection.run(pairs_per_day=0.0)


def test_the_tables_show_both_rules_and_every_change(small: detection.Result) -> None:
    printed = io.StringIO()

    detection.render(small, Console(file=printed, width=120))

    text = printed.getvalue()
    assert "e-detector" in text
    assert f"{small.naive_alarms_per_segment_year:.4f}" in text
    assert "40%" in text
    assert "80%" in text
    assert f"{small.delays[0].alarmed} of 5" in text
