"""Rules that terminal and pages share: figures that are shown, the order of segments, axes, groups of alerts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.reports.alerts import grouped
from pipeline.domain.reports.figures import ENOUGH_PAIRS, Figures, figures_of
from pipeline.domain.reports.ranking import Mark, axis_of, known, mark_of, worst_first
from pipeline.domain.reports.scenario_nps import Figure
from tests.support.statistics.findings import alert

SHARES = st.floats(0.0, 1.0)


def figure(value: float, n: int = ENOUGH_PAIRS) -> Figure:
    return Figure(value, value - 0.1, value + 0.1, n)


def segment(contradicted: int, confirmed: int) -> Figures:
    pairs = {"on_time:10": contradicted, "on_time:11": confirmed}
    return figures_of({"on_time": 1_000, "on_time:stated": 1_000} | pairs)


def test_a_figure_is_known_from_ten_answers_on() -> None:
    assert known(None) is None
    assert known(figure(0.5, ENOUGH_PAIRS - 1)) is None
    assert known(figure(0.5)) == figure(0.5)


def test_the_claim_is_marked_even_where_the_figure_is_not_known() -> None:
    assert mark_of(figure(0.5), 0.9) == Mark(0.9, 0.5, 0.4, 0.6)
    assert mark_of(figure(0.5, 1), 0.9) == Mark(0.9)
    assert mark_of(None) == Mark()


def test_segments_are_sorted_worst_first_and_unknown_last_by_name() -> None:
    segments = {"b": segment(1, 2), "mild": segment(2, 18), "a": segment(0, 0), "bad": segment(9, 11)}
    assert worst_first(segments, lambda figures: figures.gap) == ["bad", "mild", "a", "b"]
    assert worst_first(segments, lambda figures: figures.experienced, worst_is_low=True) == ["bad", "mild", "a", "b"]


@given(st.lists(st.builds(Mark, SHARES, SHARES, SHARES, SHARES), min_size=1), st.sampled_from([0.05, 0.1]))
def test_an_axis_contains_every_point_within_its_bounds(marks: list[Mark], step: float) -> None:
    low, high = axis_of(marks, step, (0.0, 1.0))
    assert 0.0 <= low < high <= 1.0
    points = [point for mark in marks for point in (mark.claimed, mark.experienced) if point is not None]
    assert low - 1e-6 <= min(points)
    assert max(points) <= high + 1e-6


def test_an_axis_is_not_widened_by_more_than_a_step_for_intervals() -> None:
    assert axis_of([Mark(0.9, 0.8, 0.1, 1.0)], 0.1, (0.0, 1.0)) == pytest.approx((0.7, 1.0))
    assert axis_of([Mark()], 0.1, (0.0, 1.0)) == (0.0, 1.0)


def test_alerts_are_grouped_by_urgency() -> None:
    over, silent, watch, dispute, open_one = (
        alert(state="resolved"),
        alert(state="unverified"),
        alert(kind="watch", severity=None),
        alert(kind="single_account_dispute"),
        alert(),
    )
    assert grouped([over, silent, watch, dispute, open_one]) == [
        ("open", [open_one]),
        ("information", [watch, dispute]),
        ("unverified", [silent]),
        ("resolved", [over]),
    ]
    assert grouped([]) == []
    assert [one.notifies for one in (over, silent, watch, dispute, open_one)] == [False, False, False, False, True]
