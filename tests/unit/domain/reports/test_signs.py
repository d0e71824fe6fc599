"""What one order says about the ways to embellish, and when it is known."""

from pipeline.domain.asking.eligibility import Reason
from pipeline.domain.orders.claims import claim_of
from pipeline.domain.orders.dialogue import Ask, Refusal
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.signs import new_signs
from tests.support.builders import answered, at, completed, event, repromised, scanned
from tests.support.facts import apply


def order_of(*raws: bytes) -> Order:
    order = Order("SO-1")
    for raw in raws:
        received = event(raw)
        if received.type == "feedback.received":
            order.dialogue.apply_answer(received)
        else:
            apply(order.facts, received)
            order.dialogue.claim = claim_of(order.facts)
    return order


def asked(order: Order) -> Order:
    order.dialogue.asks.append(Ask("ana", "delivery", at(), order.dialogue.claim))
    return order


def refused(order: Order, reason: Reason) -> Order:
    order.dialogue.refusals.append(Refusal("ana", "delivery", str(reason)))
    return order


LATE = (completed("SO-1", at()), scanned("SO-1", at(hours=6)))


def test_nothing_is_known_before_a_delivery() -> None:
    assert new_signs(order_of(completed("SO-1", at()))) == {}
    assert new_signs(asked(order_of(completed("SO-1", at())))) == {}, "late, if at all, when it is delivered"


def test_a_late_order_is_known_at_its_delivery_and_its_question_when_that_is_decided() -> None:
    order = order_of(*LATE)
    assert new_signs(order) == {"moved": 0.0}
    assert new_signs(asked(order)) == {"moved": 0.0, "no_question": 0.0}


def test_a_contact_who_was_within_reach_counts_as_one_who_could_be_asked() -> None:
    for reason, x in ((Reason.SAMPLED_OUT, 0.0), (Reason.NO_REACHABLE_CONTACT, 1.0), (Reason.OPTED_OUT, 1.0)):
        assert new_signs(refused(order_of(*LATE), reason))["no_question"] == x
    assert new_signs(refused(order_of(*LATE), Reason.ADDRESS_ASKED_RECENTLY))["no_question"] == 1.0


def test_a_moved_promise_is_a_risk_and_a_sign_only_if_it_was_moved_after_it_was_missed() -> None:
    in_time = order_of(
        completed("SO-1", at()), repromised("SO-1", at(hours=1), at(hours=8)), scanned("SO-1", at(hours=2))
    )
    assert new_signs(asked(in_time)) == {"no_question": 0.0}, "delivered before the first promise"
    after = order_of(
        completed("SO-1", at()), repromised("SO-1", at(hours=4), at(hours=8)), scanned("SO-1", at(hours=6))
    )
    assert new_signs(after) == {"moved": 1.0}
    missed_again = order_of(
        completed("SO-1", at()), repromised("SO-1", at(hours=4), at(hours=5)), scanned("SO-1", at(hours=6))
    )
    assert new_signs(missed_again) == {"moved": 0.0}


def test_stated_arrivals_of_several_people_are_their_mean() -> None:
    early = answered("SO-1", at(hours=9), "ben", arrived_at=at(hours=4))
    right = answered("SO-1", at(hours=9), "cleo", arrived_at=at(hours=1, days=0))
    silent = answered("SO-1", at(hours=9), "dan", arrival="on_time")
    on_time = (completed("SO-1", at()), scanned("SO-1", at(hours=1)))
    assert new_signs(order_of(*on_time, silent)) == {}
    assert new_signs(order_of(*on_time, early)) == {"early": 1.0}
    assert new_signs(order_of(*on_time, early, right, silent)) == {"early": 0.5}


def test_what_was_observed_is_not_observed_again() -> None:
    order = asked(order_of(*LATE))
    order.dialogue.signs.update(new_signs(order))
    apply(order.facts, event(repromised("SO-1", at(hours=7), at(hours=9))))
    assert new_signs(order) == {}
