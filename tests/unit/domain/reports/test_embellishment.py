"""The four ways to embellish: predicates on one order, figures from counts."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.reports.embellishment import (
    contact_missing_risk_ratio,
    contactable_share,
    early_scan_share,
    effective_addresses,
    inflation,
    is_shared_address,
    on_time_share,
    rescue_share,
    was_at_risk,
    was_missed,
    was_rescued,
    was_scanned_early,
)

PROMISE = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _later(hours: float) -> datetime:
    return PROMISE + timedelta(hours=hours)


def test_a_delivery_at_the_promised_minute_is_on_time() -> None:
    assert not was_missed(PROMISE, PROMISE)
    assert was_missed(PROMISE, _later(0.1))


def test_an_undelivered_order_is_neither_missed_nor_rescued() -> None:
    assert not was_missed(PROMISE, None)
    assert not was_rescued(PROMISE, _later(1), _later(9), None)


@pytest.mark.parametrize(
    ("moved", "last", "delivered", "rescued"),
    [
        (1, 9, 5, True),
        (1, 9, 9, True),
        (-1, 9, 5, False),  # moved in time: the customer was informed
        (0, 9, 5, False),
        (1, 9, -2, False),  # was on time without it
        (1, 9, 10, False),  # missed the new promise too
        (None, 0, 5, False),
    ],
)
def test_only_a_promise_moved_after_it_passed_rescues(
    moved: int | None, last: int, delivered: int, rescued: bool
) -> None:
    moved_at = None if moved is None else _later(moved)

    assert was_rescued(PROMISE, moved_at, _later(last), _later(delivered)) is rescued


def test_goods_more_than_two_hours_after_their_scan_were_scanned_early() -> None:
    assert was_scanned_early(PROMISE, _later(2)) is False
    assert was_scanned_early(PROMISE, _later(2.01)) is True
    assert was_scanned_early(PROMISE, _later(-5)) is False
    assert was_scanned_early(PROMISE, _later(2), tolerance=timedelta(hours=1)) is True


def test_an_unknown_arrival_is_no_early_scan() -> None:
    assert was_scanned_early(None, PROMISE) is None
    assert was_scanned_early(PROMISE, None) is None


def test_an_order_is_at_risk_if_it_was_missed_or_moved() -> None:
    assert was_at_risk(PROMISE, None, _later(1))
    assert was_at_risk(PROMISE, _later(-30), _later(-1))
    assert not was_at_risk(PROMISE, None, _later(-1))
    assert not was_at_risk(PROMISE, None, None)


def test_figures_come_from_counts() -> None:
    assert rescue_share(5, 20) == 0.25
    assert on_time_share(5, 20) == 0.75
    assert inflation(20, 13, 40) == pytest.approx(0.175)
    assert early_scan_share(3, 12) == 0.25
    assert contactable_share(30, 40) == 0.75


def test_a_figure_without_a_denominator_is_none() -> None:
    assert rescue_share(0, 0) is None
    assert on_time_share(0, 0) is None
    assert inflation(0, 0, 0) is None
    assert early_scan_share(0, 0) is None
    assert contactable_share(0, 0) is None
    assert contact_missing_risk_ratio(0, 0, 1, 5) is None
    assert contact_missing_risk_ratio(1, 5, 0, 0) is None


def test_a_missing_contact_weighs_by_the_group_it_is_missing_in() -> None:
    assert contact_missing_risk_ratio(9, 24, 1, 16) == pytest.approx((9.5 / 25) / (1.5 / 17))
    assert contact_missing_risk_ratio(3, 10, 3, 10) == pytest.approx(1.0)
    assert contact_missing_risk_ratio(0, 10, 0, 10) == pytest.approx(1.0)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=40))
def test_effective_addresses_never_exceed_the_addresses(messages: list[int]) -> None:
    effective = effective_addresses(messages)

    assert effective is not None
    assert 1.0 <= effective <= len(messages) + 1e-9
    assert effective_addresses([7] * len(messages)) == pytest.approx(len(messages))


def test_without_messages_there_are_no_effective_addresses() -> None:
    assert effective_addresses([]) is None


def test_an_address_is_shared_from_three_accounts_on() -> None:
    assert not is_shared_address(2)
    assert is_shared_address(3)
