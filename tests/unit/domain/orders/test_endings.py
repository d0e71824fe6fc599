"""Orders that end without a delivery: cancelled, returned, or with nothing in them."""

from datetime import datetime
from itertools import permutations
from typing import Any

import pytest

from pipeline.domain.asking.eligibility import Reason, is_answerable
from pipeline.domain.events.contract import BadEvent
from pipeline.domain.orders.cancellations import cancelled_of
from pipeline.domain.orders.claims import NO_CLAIM, claim_of
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.endings import Ending, could_hide, ending_of
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.counts import contribution
from tests.support.builders import at, cancelled, completed, event, repromised, retracted, scanned
from tests.support.facts import facts_of

EARLY, LATE = at(hours=1), at(hours=4)  # the promise of `completed` ends three hours after its time


def ending(*raws: bytes) -> Ending | None:
    return ending_of(facts_of(*raws))


def counted(*raws: bytes) -> dict[str, int]:
    facts = facts_of(*raws)
    return contribution(Order("SO-1", facts, Dialogue(claim=claim_of(facts))))


def test_a_cancelled_order_has_ended_whatever_came_first() -> None:
    for order in permutations([completed(), cancelled(time=EARLY), repromised("SO-1", at(hours=2), at(days=3))]):
        assert ending(*order) is Ending.CANCELLED
        assert claim_of(facts_of(*order)) == NO_CLAIM
    assert ending(cancelled(time=EARLY)) is None, "there is no such order yet"


def test_an_order_may_be_cancelled_before_it_is_reported() -> None:
    assert ending(cancelled(time=at()), completed(time=at(hours=1))) is Ending.CANCELLED


def test_an_order_that_is_completed_again_after_its_cancellation_is_reinstated() -> None:
    again = completed(time=at(hours=2), event_id="again")
    for order in permutations([completed(), cancelled(time=EARLY), again]):
        assert ending(*order) is None
    assert ending(completed(), cancelled(time=EARLY), again, cancelled(time=at(hours=3))) is Ending.CANCELLED


@pytest.mark.parametrize("status", ["dispatched", "out_for_delivery", "attempted", "available_for_pickup", "returned"])
def test_cancelled_after_the_goods_left_is_late(status: str) -> None:
    left = scanned(time=at(hours=2), status=status, shipment_id="P1")
    assert ending(completed(), cancelled(time=EARLY), left) is Ending.CANCELLED_LATE
    assert ending(completed(), cancelled(time=EARLY), left, retracted(left, at(hours=3))) is Ending.CANCELLED


def test_cancelled_after_the_first_promise_is_late_however_often_it_was_moved() -> None:
    assert (
        ending(completed(), repromised("SO-1", at(hours=2), at(days=9)), cancelled(time=LATE)) is Ending.CANCELLED_LATE
    )
    assert ending(completed(promised_at=None), cancelled(time=LATE)) is Ending.CANCELLED


def test_a_source_cannot_backdate_a_cancellation() -> None:
    told = event(cancelled(time=EARLY))._replace(received_at=LATE)
    facts = facts_of(completed())
    facts.apply_cancelled(told)
    assert ending_of(facts) is Ending.CANCELLED_LATE


def test_in_history_a_cancellation_is_known_when_it_happens() -> None:
    told = event(cancelled(time=EARLY, _={"historic": True}))._replace(received_at=at(days=900))
    facts = facts_of(completed(_={"historic": True}))
    facts.apply_cancelled(told)
    assert not cancelled_of(facts).late


@pytest.mark.parametrize("cancelled_at", [EARLY, LATE, at(hours=9)])
def test_a_delivery_counts_in_spite_of_a_cancellation(cancelled_at: datetime) -> None:
    facts = facts_of(completed(), cancelled(time=cancelled_at), scanned(time=at(hours=5)))
    assert ending_of(facts) is None
    claim = claim_of(facts)
    assert (claim.delivered_at, claim.on_time_first, claim.in_full) == (at(hours=5), False, True)


# --- lines --------------------------------------------------------------------------------------------------

LINES = [{"sku": "A", "ordered": 10, "delivered": 10}, {"sku": "B", "ordered": 0.3, "delivered": 0}]


@pytest.mark.parametrize(
    ("lines", "in_full"),
    [
        ([{"sku": "B"}], True),
        ([{"sku": "B", "cancelled": None}], True),
        ([{"sku": "B", "cancelled": 0.3}], True),
        ([{"sku": "B", "cancelled": 5}], True),
        ([{"sku": "B", "cancelled": 0.1}], False),
        ([{"sku": "A"}], False),
        ([{"sku": "unknown"}], False),
    ],
)
def test_cancelled_lines_are_no_longer_owed(lines: list[dict[str, Any]], in_full: bool) -> None:
    facts = facts_of(completed(lines=LINES), cancelled(time=EARLY, lines=lines), scanned(time=at(hours=2)))
    assert claim_of(facts).in_full is in_full


def test_an_order_of_cancelled_lines_is_cancelled() -> None:
    first, second = (
        cancelled(time=EARLY, event_id="1", lines=[{"sku": "A"}]),
        cancelled(time=LATE, event_id="2", lines=[{"sku": "B"}]),
    )
    assert ending(completed(lines=LINES), first) is None
    assert ending(completed(lines=LINES), first, second) is Ending.CANCELLED_LATE
    delivered = facts_of(completed(lines=LINES), first, second, scanned(time=at(hours=5)))
    assert claim_of(delivered).in_full is False, "delivered all the same: what was ordered counts"


def test_parts_of_a_line_add_up_and_two_lines_of_one_article_share_them() -> None:
    lines = [{"sku": "A", "ordered": 3}, {"sku": "A", "ordered": 4}]
    parts = [cancelled(time=EARLY, event_id=f"{n}", lines=[{"sku": "A", "cancelled": 3.5}]) for n in range(2)]
    assert ending(completed(lines=lines), parts[0]) is None
    assert ending(completed(lines=lines), *parts) is Ending.CANCELLED


def test_a_revision_states_the_lines_anew() -> None:
    revised = completed(time=at(hours=2), event_id="revised", lines=LINES)
    facts = facts_of(
        completed(lines=LINES), cancelled(time=EARLY, lines=[{"sku": "B"}]), revised, scanned(time=at(hours=2))
    )
    assert claim_of(facts).in_full is False


def test_a_cancellation_without_lines_or_with_null_is_of_the_whole_order_and_an_empty_list_is_refused() -> None:
    assert ending(completed(), cancelled(time=EARLY, lines=None)) is Ending.CANCELLED
    with pytest.raises(BadEvent) as refused:
        event(cancelled(lines=[]))
    assert refused.value.field == "data.lines"


# --- returned, and zero pieces ------------------------------------------------------------------------------


def test_a_returned_order_has_ended_until_it_is_sent_again() -> None:
    back = scanned(time=at(hours=2), status="returned")
    assert ending(completed(), back) is Ending.RETURNED
    assert ending(completed(), back, scanned(time=at(hours=3), status="dispatched")) is None
    assert ending(completed(), back, retracted(back, at(hours=3))) is None


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([{"sku": "A", "ordered": 0}], Ending.ZERO_PIECES),
        ([{"sku": "A", "ordered": 0, "delivered": 0}, {"sku": "B", "ordered": 5, "delivered": 0}], Ending.ZERO_PIECES),
        ([{"sku": "A", "ordered": 5, "delivered": 0.0}], Ending.ZERO_PIECES),
        ([{"sku": "A", "ordered": 5}], None),
        ([{"sku": "A", "ordered": 5, "delivered": 0}, {"sku": "B", "ordered": 5}], None),
        ([{"sku": "A", "ordered": 5, "delivered": 1}], None),
        ([], None),
    ],
)
def test_an_order_without_a_piece_has_ended(lines: list[dict[str, Any]], expected: Ending | None) -> None:
    assert ending(completed(lines=lines)) is expected
    assert ending(completed(lines=lines), scanned(time=at(hours=1), status="dispatched")) is None, "something left"
    assert ending(completed(lines=lines), scanned(time=at(hours=1))) is None


# --- what the figures show ----------------------------------------------------------------------------------


def test_each_ending_has_a_coverage_reason_and_its_words() -> None:
    assert {Reason(one) for one in Ending} <= set(Reason)


def test_cancelling_late_is_at_risk_without_a_question_and_cancelling_early_is_not() -> None:
    early, late = counted(completed(), cancelled(time=EARLY)), counted(completed(), cancelled(time=LATE))
    assert early["not_asked:cancelled"] == 1
    assert late["not_asked:cancelled_late"] == 1
    assert "pending" not in early | late
    assert (late["risk"], late["risk:unreachable"]) == (1, 1)
    assert not {"risk", "clean"} & early.keys()
    without_promise = counted(completed(promised_at=None), cancelled(time=LATE), scanned(status="dispatched"))
    assert (without_promise["risk"], without_promise["risk:unreachable"]) == (1, 1)


def test_returns_and_undelivered_orders_are_at_risk_and_orders_of_nothing_are_not() -> None:
    assert counted(completed(), scanned(status="returned"))["risk:unreachable"] == 1
    short = counted(completed(lines=[{"sku": "A", "ordered": 5, "delivered": 0}]))
    assert (short["not_asked:zero_pieces"], short["risk:unreachable"]) == (1, 1)
    nothing = counted(completed(lines=[{"sku": "A", "ordered": 0}]))
    assert nothing["not_asked:zero_pieces"] == 1
    assert "risk" not in nothing


def test_cancelling_lines_late_is_a_motive_too() -> None:
    facts = facts_of(completed(lines=LINES), cancelled(time=LATE, lines=[{"sku": "B"}]), scanned(time=at(hours=2)))
    assert could_hide(facts, ending_of(facts))


@pytest.mark.parametrize("purpose", ["delivery", "missing_scan", "reminder"])
def test_nothing_is_asked_about_an_order_that_ended(purpose: Any) -> None:
    for raws in ((cancelled(time=EARLY),), (scanned(status="returned"),)):
        assert not is_answerable(Order("SO-1", facts_of(completed(), *raws)), purpose)
    facts = facts_of(completed(), cancelled(time=EARLY), scanned(time=at(hours=2)))
    assert is_answerable(Order("SO-1", facts, Dialogue(claim=claim_of(facts))), purpose), "a delivery was reported"
