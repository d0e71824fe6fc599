"""What an order adds to the sums of its account, the periods, and the risk."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.events.decoding import decode
from pipeline.domain.orders.facts import Facts
from pipeline.domain.reports.accounts.sums import (
    LENGTHS,
    Period,
    Sums,
    before,
    parse_period,
    period_of,
    place_of,
    risk,
)
from tests.support.builders import at, completed

DAYS = st.integers(date(1990, 1, 1).toordinal(), date(2090, 1, 1).toordinal())


def facts_of(**known: Any) -> Facts:
    facts = Facts()
    facts.apply_completed(decode(completed("SO-1", at(), account={"id": "A-1"}, **known)))
    return facts


def test_the_date_that_the_customer_requested_decides_and_without_one_the_first_promise() -> None:
    requested = {"on_time_requested:stated": 1, "on_time_first:stated": 1, "on_time_first": 1, "delivered": 1}
    place = place_of(facts_of(), requested)
    assert place is not None
    assert (place.sums.dated, place.sums.kept) == (1, 0)
    place = place_of(facts_of(), {"on_time_first:stated": 1, "on_time_first": 1})
    assert place is not None
    assert (place.sums.dated, place.sums.kept) == (1, 1)


def test_pieces_are_the_ordered_quantities_in_whole_pieces() -> None:
    lines = [{"sku": "A", "ordered": 10.4, "delivered": 1}, {"sku": "B", "ordered": 3.3}]
    place = place_of(facts_of(lines=lines), {"completed": 1})
    assert place is not None
    assert (place.account, place.sums.orders, place.sums.pieces) == ("A-1", 1, 14)


def test_an_order_that_is_not_completed_adds_nothing() -> None:
    assert place_of(Facts(), {}) is None
    assert place_of(facts_of(), {}) is None


@pytest.mark.parametrize("counter", ["on_time:10", "on_time:00", "in_full:10", "in_full:00", "undelivered:detractor"])
def test_a_bad_answer_counts_once_however_much_went_wrong(counter: str) -> None:
    place = place_of(facts_of(), {counter: 1, "delivered:detractor": 1, "delivered:answered": 1})
    assert place is not None
    assert (place.sums.bad, place.sums.answered) == (1, 1)


def test_silence_is_riskier_than_praise_and_complaints_are_riskier_than_silence() -> None:
    silent, happy = risk(Sums(orders=100)), risk(Sums(orders=100, answered=20))
    unhappy = risk(Sums(orders=100, answered=20, bad=10))
    assert happy < silent < unhappy
    assert silent == 10
    assert risk(Sums(orders=10, answered=1, bad=1)) < unhappy, "one complaint of a small account proves little"


@given(DAYS)
def test_a_day_is_in_its_period_and_the_period_before_ends_just_before_it(day: int) -> None:
    for length in LENGTHS:
        period = period_of(length, day)
        assert parse_period(str(period)) == period
        if period.first is None or period.last is None:
            assert length == "all"
            continue
        assert period.first.toordinal() <= day <= period.last.toordinal()
        assert period_of(length, period.last.toordinal()) == period
        earlier = before(period).last
        assert earlier is not None
        assert earlier.toordinal() == period.first.toordinal() - 1


def test_periods_in_addresses() -> None:
    assert str(period_of("quarter", date(2026, 11, 28).toordinal())) == "2026-Q4"
    assert parse_period("2026-03") == Period("month", date(2026, 3, 1).toordinal())
    for text in ("2026", "2026-13", "2026-Q5", "2026-Q0", "x", "26-01", "-", "2026-"):
        with pytest.raises(ValueError, match=r"\S"):
            parse_period(text)
