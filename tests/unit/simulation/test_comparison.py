"""What `unvarnished simulate` shows beside the product: simpler rules, faults, an image."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from pipeline.domain.detection.baseline import threshold
from pipeline.simulation import comparison, rules, segments


@pytest.fixture(scope="module")
def small() -> comparison.Comparison:
    return comparison.compare(depots=4, answers=1.0, fleets=1, repeats=4)


def test_the_same_arguments_give_the_same_figures(small: comparison.Comparison) -> None:
    assert comparison.compare(depots=4, answers=1.0, fleets=1, repeats=4) == small


def test_hiding_more_is_found_sooner_and_simple_rules_call_far_more_often(small: comparison.Comparison) -> None:
    days = [row.days[comparison.PRODUCT] for row in small.delays]
    assert days[-1] is not None
    assert days[1] is None or days[1] > days[-1]
    plain = small.honest[0].alarms
    assert plain[comparison.GAP_RULE] > 10 > plain[comparison.PRODUCT]


def test_the_tables_show_every_fleet_every_fault_and_all_rules(small: comparison.Comparison) -> None:
    printed = io.StringIO()
    comparison.render(small, Console(file=printed, width=160))
    text = printed.getvalue()
    for word in (*comparison.RULES, "equal depots", "everything at once", "80%", "5 points", "10 points"):
        assert word in text


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_the_plot_is_an_image_of_the_wanted_format(
    small: comparison.Comparison, tmp_path: Path, name: str, start: bytes
) -> None:
    comparison.plot(small, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_impossible_volumes_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        comparison.compare(depots=0, answers=1.0)


def test_a_window_covers_the_last_28_days() -> None:
    n, contradicting = np.ones((40, 1)), np.zeros((40, 1))
    contradicting[5] = 1.0
    windows = rules.Windows.of(n, contradicting)
    assert windows.n[39, 0] == 28
    assert (windows.contradicting[5:33, 0] == 1.0).all()
    assert windows.contradicting[33, 0] == 0.0
    assert windows.gap(0.0)[8, 0] == -np.inf, "below ten answers there is no share"
    assert windows.gap(0.0)[9, 0] == 0.1


def test_an_alarm_starts_when_the_limit_is_crossed() -> None:
    statistic = np.array([[2.0, 0.0], [2.0, 2.0], [0.0, 2.0], [2.0, 0.0]])
    assert rules.alarms(statistic, 1.0) == 3
    assert rules.first_alarm(statistic, 1.0, 2).tolist() == [2.0, 1.0]
    assert rules.first_alarm(statistic, 5.0, 0).tolist() == [np.inf, np.inf]


def test_a_smaller_budget_needs_a_higher_limit() -> None:
    few, many = (rules.calibrated_limit(0.05, 3.0, 20, budget) for budget in (1.0, 10.0))
    assert few > many > 1.0


def test_a_hidden_fault_is_found_and_a_lasting_one_is_rarely_called_over() -> None:
    """Level depot of three levels, fifty depots; 20 % late of which 80 % hidden; 25 accounts, 3 answers a day."""
    company, a = segments.Company(late=0.2), threshold(50, 3, 1.0)
    found = [segments.time_to_alert(company, 0.8, a, seed) for seed in range(60)]
    pairs = segments.median([float(each.pairs) if each else float("inf") for each in found])
    assert pairs is not None
    assert pairs <= 85, "docs/statistics.md: 68 of a thousand"
    ended = [segments.resolved_within_a_year(company, 0.10, a, seed) for seed in range(25)]
    assert sum(ours for ours, _ in ended) <= 4
    assert sum(early for _, early in ended) >= 10, "at evidence of 100 days most would be called resolved"


def test_a_repaired_fault_is_confirmed_within_months() -> None:
    days = segments.days_to_confirm_repair(segments.Company(), 0.15, threshold(50, 3, 1.0), 1)
    assert days is not None
    assert 20 < days < 200


def test_a_median_with_too_many_that_never_end_is_unknown() -> None:
    never = float("inf")
    assert segments.median([3.0, never, never]) is None
    assert segments.median([3.0, 5.0, never]) == 5.0
