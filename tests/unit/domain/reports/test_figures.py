"""The figures of a segment, computed from summed counters, with the names of the contract."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.reports.contract import report_json
from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.figures import figures_of, missing_contacts, share
from tests.support.statistics.figures_reference import REFERENCE


def total(counts: Counts) -> dict[str, Any]:
    """The figures of these counters as the contract shows them."""
    found: dict[str, Any] = report_json(counts, {})["total"]
    return found


def test_the_row_has_exactly_the_fields_of_the_contract() -> None:
    assert list(total(REFERENCE)) == [
        "delivered",
        "claimed_on_time",
        "answered",
        "answered_claimed_on_time",
        "claimed_on_time_but_detractor",
        "mean_score",
        "nps",
        "experienced_on_time",
        "erased",
    ]


def test_figures_count_delivered_orders() -> None:
    row = total(REFERENCE | {"undelivered:answered": 20, "undelivered:detractor": 20})
    assert row["delivered"] == 4_000
    assert row["claimed_on_time"] == 3_600
    assert row["answered"] == 1_000
    assert row["answered_claimed_on_time"] == 850
    assert row["claimed_on_time_but_detractor"] == 80


def test_experienced_is_the_claim_minus_the_gap_with_the_ends_swapped() -> None:
    # gap 0.0496 in [0.018295, 0.084858], claimed 0.9: the reference file's own figures
    assert total(REFERENCE)["experienced_on_time"] == {
        "value": pytest.approx(0.850392, abs=1e-6),
        "low": pytest.approx(0.9 - 0.084858, abs=2e-6),
        "high": pytest.approx(0.9 - 0.018295, abs=2e-6),
        "n": 1_000,
    }


def test_nothing_answered_means_null_and_not_zero() -> None:
    row = total({"completed": 5, "delivered": 5, "on_time": 5, "on_time:stated": 5})
    assert row["experienced_on_time"] is None
    assert row["mean_score"] is None
    assert row["nps"] is None
    assert row["answered"] == 0


def test_an_empty_segment_has_figures_too() -> None:
    figures = figures_of({})
    assert figures.row.delivered == 0
    assert figures.compared is None
    assert [claim.share for claim in figures.claims] == [None] * 4
    assert figures.signs.contactable is None


def test_a_segment_without_reported_late_orders_has_a_point_and_a_wider_interval() -> None:
    counts = {"on_time": 95, "on_time:stated": 100, "on_time:11": 15, "on_time:10": 5}
    compared = figures_of(counts).compared
    assert compared is not None
    assert compared.experienced.value == pytest.approx(0.95 * 0.75)
    # all five that were claimed late may have been on time: the interval includes that
    assert compared.experienced.high >= compared.experienced.value + 0.05


def test_without_answers_on_orders_claimed_on_time_there_is_no_point() -> None:
    assert figures_of({"on_time": 95, "on_time:stated": 100, "on_time:00": 5}).compared is None


def test_figures_are_not_rounded() -> None:
    row = total({"score:5:5": 2, "score:5:4": 1})
    assert row["mean_score"]["value"] == 14 / 3
    assert row["mean_score"]["n"] == 3
    assert row["nps"]["value"] == pytest.approx(200 / 3)


def test_scores_of_both_scales_are_shown_on_a_scale_of_ten() -> None:
    assert figures_of({"score:5:5": 1}).scale == 5
    mixed = figures_of({"score:5:5": 1, "score:10:10": 1})
    assert mixed.scale == 10
    assert mixed.row.mean_score is not None
    assert mixed.row.mean_score.value == 10


def test_the_funnel_keeps_every_loss_with_its_reason_the_largest_first() -> None:
    coverage = figures_of(REFERENCE).coverage
    assert [(loss.reason, loss.orders) for loss in coverage.losses] == [
        ("asked_recently", 300),
        ("no_consent", 200),
    ]
    assert coverage.not_answered == 2_480
    assert coverage.completed == coverage.asked + coverage.pending + sum(loss.orders for loss in coverage.losses)


def test_a_reply_that_nobody_has_read_is_no_understood_one() -> None:
    coverage = figures_of(REFERENCE | {"unread": 30}).coverage
    assert (coverage.replied, coverage.unread, coverage.understood) == (1_020, 30, 990)


def test_unhappy_customers_are_a_share_of_those_who_gave_a_score() -> None:
    every, scored = figures_of(REFERENCE).unhappy, figures_of(REFERENCE | {"on_time:unscored": 50}).unhappy
    assert every is not None
    assert scored is not None
    assert every.n == 850
    assert every.value == pytest.approx(80 / 850)
    assert (scored.n, scored.value) == (800, 0.1)


def test_contactable_is_a_share_of_the_orders_that_were_decided() -> None:
    assert figures_of(REFERENCE).signs.contactable == 3_800 / 4_000


def test_moved_promises_show_as_inflation_and_rescues() -> None:
    signs = figures_of(REFERENCE | {"missed_first": 600, "rescued": 150}).signs
    assert signs.inflation == pytest.approx(0.05)
    assert signs.rescue is not None
    assert signs.rescue.value == 0.25
    assert signs.rescue.low < 0.25 < signs.rescue.high
    assert signs.rescue.n == 600


def test_a_risk_ratio_has_an_interval_that_is_even_on_the_logarithm() -> None:
    counts = {"risk": 99, "risk:unreachable": 30, "clean": 999, "clean:unreachable": 60}
    ratio = missing_contacts(counts)
    assert ratio is not None
    assert ratio.value == pytest.approx((30.5 / 100) / (60.5 / 1_000))
    assert ratio.low * ratio.high == pytest.approx(ratio.value**2)
    spread = math.sqrt(1 / 30.5 - 1 / 100 + 1 / 60.5 - 1 / 1_000)
    assert math.log(ratio.high / ratio.value) == pytest.approx(1.959964 * spread, rel=1e-6)


def test_no_risk_ratio_without_orders_on_both_sides() -> None:
    assert missing_contacts({"risk": 10, "risk:unreachable": 5}) is None
    assert missing_contacts({"clean": 10}) is None


def test_conditions_are_most_frequent_first() -> None:
    assert figures_of({"condition:damaged": 3, "condition:wrong": 7}).conditions == (
        ("wrong", 7),
        ("damaged", 3),
    )


def test_a_stricter_interval_is_wider() -> None:
    usual, strict = share(20, 100), share(20, 100, alpha=0.001)
    assert usual is not None
    assert strict is not None
    assert strict.low < usual.low < usual.value < usual.high < strict.high
    assert share(0, 0) is None


@given(
    st.fixed_dictionaries(
        {name: st.integers(0, 500) for name in ("on_time:11", "on_time:10", "on_time:01", "on_time:00")}
    ),
    st.integers(0, 2_000),
    st.integers(0, 2_000),
)
def test_a_figure_lies_within_its_interval_and_within_zero_and_one(
    cells: dict[str, int], on_time: int, late: int
) -> None:
    row = total(cells | {"on_time": on_time, "on_time:stated": on_time + late})
    figure = row["experienced_on_time"]
    json.dumps(row, allow_nan=False)
    if figure is not None:
        assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1
        assert figure["n"] == sum(cells.values()) > 0
