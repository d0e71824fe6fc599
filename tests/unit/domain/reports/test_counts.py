"""The counters of an order: an example of each, and the differences between two states."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.asking.eligibility import WITHIN_REACH, Reason
from pipeline.domain.orders.claims import claim_of
from pipeline.domain.orders.dialogue import Ask, Refusal
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.counts import contribution, difference
from tests.support.builders import answered, at, completed, event, repromised, scanned
from tests.support.facts import apply
from tests.support.streams import stream

COUNTS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 5))


@given(before=COUNTS, after=COUNTS)
def test_adding_the_difference_to_the_counts_before_gives_the_counts_after(
    before: dict[str, int], after: dict[str, int]
) -> None:
    changed = difference(before, after)
    total = {name: before.get(name, 0) + changed.get(name, 0) for name in before | changed}
    assert {name: n for name, n in total.items() if n} == after
    assert all(changed.values()), "unchanged counters are omitted"


def grow(order: Order, raw: bytes) -> None:
    received = event(raw)
    if received.type == "feedback.received":
        order.dialogue.apply_answer(received)
    elif received.type == "feedback.requested":
        order.dialogue.asks.append(
            Ask(received.data.contact_id, received.data.purpose, received.time, order.dialogue.claim)
        )
    else:
        apply(order.facts, received)
        order.dialogue.claim = claim_of(order.facts)


@given(seed=st.integers(0, 2**32), shuffle=st.randoms(use_true_random=False))
def test_counts_do_not_depend_on_the_order_of_events(seed: int, shuffle: Random) -> None:
    raws = [raw for _, raw in stream(seed, orders=1)]
    in_order, shuffled = Order("SO-0"), Order("SO-0")
    for raw in raws:
        grow(in_order, raw)
    shuffle.shuffle(raws)
    sums: Counter[str] = Counter()
    before: dict[str, int] = {}
    for raw in raws:
        grow(shuffled, raw)
        after = contribution(shuffled)
        sums.update(difference(before, after))
        before = after
    assert contribution(shuffled) == contribution(in_order)
    assert {name: n for name, n in sums.items() if n} == contribution(in_order)


# --- every counter ------------------------------------------------------------------------------------------


def order_of(*raws: bytes, asked: bool = False, refused: tuple[Reason, ...] = ()) -> Order:
    """An order, by default promised for noon of Monday, 3 hours after its completion."""
    order = Order("SO-1")
    for raw in raws:
        grow(order, raw)
    if asked:
        order.dialogue.asks.append(Ask("ana", "delivery", at(), order.dialogue.claim))
    order.dialogue.refusals.extend(Refusal(f"c{n}", "delivery", reason) for n, reason in enumerate(refused))
    return order


ORDER, IN_TIME, TOO_LATE = completed(), scanned(time=at(hours=2)), scanned(time=at(hours=4))
HISTORIC = completed(_={"historic": True})


def answer(who: str = "ana", **more: Any) -> bytes:
    return answered(time=at(hours=9), contact_id=who, **more)


def spoken(who: str = "ana") -> bytes:
    """An answer that states something."""
    return answer(who, arrival="on_time")


def moved(hours: float, to: float) -> bytes:
    return repromised("SO-1", at(hours=hours), at(hours=to))


EXAMPLES: dict[str, list[Order]] = {
    "completed": [order_of(ORDER), order_of(ORDER, completed(time=at(hours=1), event_id="again"))],
    "pending": [order_of(ORDER), order_of(ORDER, IN_TIME)],
    "contactable": [order_of(ORDER, asked=True), *(order_of(ORDER, refused=(r,)) for r in WITHIN_REACH)],
    "asked": [order_of(ORDER, asked=True), order_of(ORDER, asked=True, refused=(Reason.NO_CONSENT,))],
    "answered": [order_of(ORDER, answer()), order_of(ORDER, answer(), answer("ben"))],
    "not_asked:historic": [order_of(HISTORIC)],
    **{f"not_asked:{reason}": [order_of(ORDER, refused=(reason,))] for reason in list(Reason)[1:]},
    "asked:on_time": [order_of(ORDER, IN_TIME, asked=True)],
    "asked:late": [order_of(ORDER, TOO_LATE, asked=True)],
    "answered:on_time": [order_of(ORDER, IN_TIME, spoken(), asked=True)],
    "answered:late": [order_of(ORDER, TOO_LATE, spoken(), asked=True)],
    "unread": [order_of(ORDER, answer()), order_of(ORDER, answer(comment="Hm."), answer("ben"))],
    "delivered": [order_of(ORDER, IN_TIME), order_of(ORDER, TOO_LATE)],
    "on_time_first": [order_of(ORDER, IN_TIME, moved(0.5, 1))],
    "on_time_first:stated": [order_of(ORDER, IN_TIME), order_of(ORDER, TOO_LATE)],
    "on_time": [order_of(ORDER, IN_TIME), order_of(ORDER, TOO_LATE, moved(1, 5))],
    "on_time:stated": [order_of(ORDER, TOO_LATE)],
    "on_time_requested": [order_of(completed(requested_at=at(hours=9)), TOO_LATE)],
    "on_time_requested:stated": [order_of(completed(requested_at=at(hours=1)), TOO_LATE)],
    "in_full": [order_of(ORDER, IN_TIME)],
    "in_full:stated": [order_of(completed(lines=[{"sku": "a", "ordered": 2, "delivered": 1}]), IN_TIME)],
    "perfect": [order_of(ORDER, IN_TIME, answer(complete=True))],
    "perfect:stated": [
        order_of(ORDER, IN_TIME, answer(complete=True, condition=["papers_missing"])),
        order_of(ORDER, TOO_LATE, answer(complete=True)),
    ],
    "on_time:11": [order_of(ORDER, IN_TIME, answer(arrival="on_time"))],
    "on_time:10": [
        order_of(ORDER, IN_TIME, answer(arrival="late")),
        order_of(ORDER, IN_TIME, answer(arrival="late"), answer("ben", arrival="on_time")),
    ],
    "on_time:01": [order_of(ORDER, TOO_LATE, answer(arrival="on_time"))],
    "on_time:00": [order_of(ORDER, TOO_LATE, answer(arrival="not_received"))],
    "in_full:11": [order_of(ORDER, IN_TIME, answer(complete=True))],
    "in_full:10": [order_of(ORDER, IN_TIME, answer(condition=["damaged"]))],
    "in_full:01": [
        order_of(completed(lines=[{"sku": "a", "ordered": 2, "delivered": 1}]), IN_TIME, answer(complete=True))
    ],
    "in_full:00": [
        order_of(completed(lines=[{"sku": "a", "ordered": 2, "delivered": 1}]), IN_TIME, answer(complete=False))
    ],
    "delivered:answered": [order_of(ORDER, TOO_LATE, spoken()), order_of(ORDER, TOO_LATE, spoken(), answer("ben"))],
    "delivered:detractor": [order_of(ORDER, TOO_LATE, answer(score={"value": 6}))],
    "undelivered:answered": [order_of(ORDER, spoken())],
    "undelivered:detractor": [order_of(ORDER, answer(score={"value": 2, "scale": 5}))],
    "on_time:answered": [order_of(ORDER, IN_TIME, spoken())],
    "on_time:unscored": [order_of(ORDER, IN_TIME, spoken())],
    "on_time:detractor": [order_of(ORDER, IN_TIME, answer(score={"value": 0}))],
    "score:10:7": [order_of(ORDER, IN_TIME, answer(score={"value": 7}))],
    "score:5:3": [order_of(ORDER, TOO_LATE, answer(score={"value": 3, "scale": 5}))],
    "condition:damaged": [order_of(ORDER, IN_TIME, answer(condition=["damaged"]))],
    "stated_arrival": [order_of(ORDER, IN_TIME, answer(arrived_at=at(hours=2.5)))],
    "scanned_early": [order_of(ORDER, IN_TIME, answer(arrived_at=at(hours=4.5)))],
    "missed_first": [order_of(ORDER, TOO_LATE)],
    "rescued": [order_of(ORDER, TOO_LATE, moved(3.5, 5))],
    "risk": [
        order_of(ORDER, TOO_LATE, asked=True),
        order_of(ORDER, IN_TIME, moved(1, 5), refused=(Reason.SAMPLED_OUT,)),
    ],
    "clean": [order_of(ORDER, IN_TIME, asked=True)],
    "risk:unreachable": [order_of(ORDER, TOO_LATE, refused=(Reason.NO_CONSENT,))],
    "clean:unreachable": [order_of(ORDER, IN_TIME, refused=(Reason.NO_CONSENT,))],
}


@pytest.mark.parametrize(("counter", "order"), [(name, order) for name, found in EXAMPLES.items() for order in found])
def test_an_order_adds_one_to_each_counter_it_is_an_example_of(counter: str, order: Order) -> None:
    assert contribution(order)[counter] == 1


COUNTER_EXAMPLES: dict[str, list[Order]] = {
    "contactable": [order_of(ORDER), *(order_of(ORDER, refused=(r,)) for r in list(Reason)[1:5])],
    "pending": [order_of(HISTORIC), order_of(ORDER, asked=True)],
    "asked": [order_of(ORDER, refused=(Reason.SAMPLED_OUT,))],
    "not_asked:historic": [order_of(HISTORIC, asked=True)],
    "not_asked:no_consent": [order_of(ORDER, refused=(Reason.NO_CONSENT, Reason.SAMPLED_OUT))],
    "answered:on_time": [order_of(ORDER, IN_TIME, answer(), asked=True)],
    "answered:late": [order_of(ORDER, TOO_LATE, spoken()), order_of(ORDER, TOO_LATE, answer(), asked=True)],
    "unread": [
        order_of(ORDER),
        order_of(ORDER, spoken()),
        order_of(ORDER, answer(), spoken("ben")),
        order_of(ORDER, answer(opt_out=True)),
    ],
    "delivered:answered": [order_of(ORDER, IN_TIME, answer())],
    "on_time:unscored": [
        order_of(ORDER, IN_TIME, answer(score={"value": 9})),
        order_of(ORDER, IN_TIME, answer()),
        order_of(ORDER, TOO_LATE, spoken()),
    ],
    "asked:late": [order_of(ORDER, asked=True), order_of(completed(promised_at=None), TOO_LATE, asked=True)],
    "on_time": [order_of(ORDER, TOO_LATE), order_of(ORDER, IN_TIME, moved(0.5, 1))],
    "on_time_first": [order_of(ORDER, TOO_LATE, moved(1, 5))],
    "on_time_requested:stated": [order_of(ORDER, IN_TIME)],
    "in_full:stated": [order_of(completed(lines=[]), IN_TIME)],
    "perfect:stated": [order_of(ORDER, IN_TIME), order_of(ORDER, IN_TIME, answer(arrival="on_time"))],
    "perfect": [
        order_of(completed(requested_at=at(hours=1)), IN_TIME, answer(complete=True)),
        order_of(ORDER, IN_TIME, answer(complete=True, condition=["papers_missing"])),
        order_of(ORDER, TOO_LATE, moved(1, 5), answer(complete=True)),
    ],
    "on_time:10": [order_of(ORDER, answer(arrival="late"))],
    "score:10:7": [order_of(ORDER, answer(score={"value": 7}))],
    "on_time:answered": [order_of(ORDER, TOO_LATE, spoken()), order_of(ORDER, IN_TIME, answer())],
    "delivered:detractor": [
        order_of(ORDER, IN_TIME, answer(score={"value": 7})),
        order_of(ORDER, answer(score={"value": 1})),
    ],
    "scanned_early": [
        order_of(ORDER, IN_TIME, answer(arrived_at=at(hours=4))),
        order_of(ORDER, answer(arrived_at=at(hours=9))),
    ],
    "missed_first": [order_of(ORDER, IN_TIME), order_of(ORDER), order_of(completed(promised_at=None), TOO_LATE)],
    "rescued": [
        order_of(ORDER, TOO_LATE, moved(2.5, 5)),  # moved in time
        order_of(ORDER, TOO_LATE, moved(3.5, 3.75)),  # and missed again
        order_of(ORDER, IN_TIME, moved(3.5, 5)),
        order_of(ORDER, moved(3.5, 5)),
    ],
    "risk": [order_of(ORDER, TOO_LATE), order_of(ORDER, IN_TIME, asked=True)],
    "clean": [order_of(ORDER, IN_TIME, moved(1, 5), asked=True)],
    "risk:unreachable": [order_of(ORDER, TOO_LATE, refused=(Reason.NO_CONSENT, Reason.ACCOUNT_CAP))],
}


@pytest.mark.parametrize(
    ("counter", "order"), [(name, order) for name, found in COUNTER_EXAMPLES.items() for order in found]
)
def test_an_order_adds_nothing_to_the_counters_it_is_no_example_of(counter: str, order: Order) -> None:
    assert counter not in contribution(order)


def test_an_unknown_order_counts_nowhere() -> None:
    assert contribution(order_of(IN_TIME, answer(arrival="late"), asked=True)) == {}


def test_matching_answers_count_per_person_and_once_per_order() -> None:
    voices = [
        answer(who, score={"value": 3}, condition=["wrong"], arrived_at=at(hours=9)) for who in ("ana", "ben", "cleo")
    ]
    counts = contribution(order_of(ORDER, IN_TIME, *voices))
    assert {name: n for name, n in counts.items() if n > 1} == {
        "score:10:3": 3,
        "cause:wrong:detractor": 3,
        "condition:wrong": 3,
        "stated_arrival": 3,
        "scanned_early": 3,
    }
    assert counts["delivered:detractor"] == counts["answered"] == 1


def test_the_streams_reach_every_counter_except_those_of_send_decisions() -> None:
    """Otherwise the properties above would not cover every counter."""
    seen: set[str] = set()
    for seed in range(400):
        order = Order("SO-0")
        for _, raw in stream(seed, orders=1):
            grow(order, raw)
        seen |= contribution(order).keys()
    ours = {f"not_asked:{reason}" for reason in list(Reason)[1:]} | {"pending", "risk:unreachable", "clean:unreachable"}
    assert set(EXAMPLES) - ours <= seen
