"""Facts and claim of an order: every revision is stored, and the order of receipt does not matter."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.orders.claims import NO_CLAIM, Claim, claim_of
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts, contact_of
from pipeline.domain.orders.order import Order
from tests.support.builders import answered, at, completed, contact, event, repromised, scanned
from tests.support.facts import apply, facts_of
from tests.support.streams import stream


def claimed(*raws: bytes) -> Claim:
    return claim_of(facts_of(*raws))


# --- facts --------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32), shuffle=st.randoms(use_true_random=False))
def test_facts_and_claim_do_not_depend_on_the_order_of_arrival(seed: int, shuffle: Random) -> None:
    received = [event(raw)._replace(place=place) for place, (_, raw) in enumerate(stream(seed, orders=1))]
    of_the_order = [each for each in received if not each.type.startswith("feedback")]
    in_order, shuffled = Facts(), Facts()
    for each in of_the_order:
        apply(in_order, each)
    shuffle.shuffle(of_the_order)
    for each in of_the_order:
        apply(shuffled, each)
    assert shuffled == in_order
    assert claim_of(shuffled) == claim_of(in_order)


@given(seed=st.integers(0, 2**32))
def test_facts_and_dialogue_survive_being_stored(seed: int) -> None:
    facts, dialogue = Facts(), Dialogue()
    for _, raw in stream(seed, orders=1):
        received = event(raw)
        if received.type == "feedback.received":
            dialogue.apply_answer(received)
        elif received.type != "feedback.requested":
            apply(facts, received)
    for value in (facts, dialogue):
        assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


def test_an_order_exists_once_it_is_completed() -> None:
    before = (scanned(time=at(hours=2)), repromised("SO-1", at(), at(hours=9)))
    assert not facts_of(*before).known
    assert claimed(*before) == NO_CLAIM
    assert facts_of(*before, completed()).known
    assert claimed(*before, completed()).delivered_at == at(hours=2)


def test_events_of_one_instant_are_ordered_by_source_and_id() -> None:
    events = [completed(event_id=name, account={"id": name}) for name in ("b", "c", "a")]
    assert facts_of(*events).latest.account.id == "c"
    other = completed(event_id="a", account={"id": "other"}, _={"source": "later than erp"})
    assert facts_of(other, *events).latest.account.id == "other"


def test_the_latest_event_of_an_order_counts_and_earlier_ones_are_stored() -> None:
    facts = facts_of(
        completed(time=at(hours=5), event_id="corrected", dimensions={"depot": "Nancy"}),
        completed(time=at(hours=1), dimensions={"depot": "Lyon"}),
    )
    assert [revision.dimensions["depot"] for revision in facts.revisions] == ["Lyon", "Nancy"]
    assert facts.latest.dimensions == {"depot": "Nancy"}


def test_an_order_is_historic_if_its_latest_event_is() -> None:
    assert facts_of(completed(_={"historic": True})).historic
    assert not facts_of(completed(_={"historic": True}), completed(time=at(hours=1), event_id="live")).historic


@pytest.mark.parametrize(
    ("timezone", "day"),
    [(None, 2), ("UTC", 2), ("America/Los_Angeles", 1), ("Pacific/Kiritimati", 2), ("Asia/Tokyo", 2)],
)
def test_an_order_counts_on_the_local_day_of_its_delivery_address(timezone: str | None, day: int) -> None:
    early = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)  # still Sunday evening in California
    assert (
        facts_of(completed(completed_at=early, timezone=timezone)).day()
        == datetime(2026, 3, day, tzinfo=UTC).toordinal()
    )


def test_without_a_completion_time_the_time_of_the_event_counts() -> None:
    assert facts_of(completed(time=at(days=3))).latest.completed_at == at(days=3)
    assert facts_of(completed(time=at(days=3), completed_at=at(days=1))).latest.completed_at == at(days=1)


# --- promises -----------------------------------------------------------------------------------------------


@given(
    moves=st.lists(st.tuples(st.integers(1, 500), st.integers(-100, 900)), unique_by=lambda m: m[0]), rng=st.randoms()
)
def test_the_first_promise_is_never_replaced(moves: list[tuple[int, int]], rng: Random) -> None:
    raws = [repromised("SO-1", at(hours=made), at(hours=to), f"move {made}") for made, to in moves]
    raws.append(completed(promised_at=at(hours=3)))
    rng.shuffle(raws)
    facts = facts_of(*raws)
    assert facts.first_promise == at(hours=3)
    assert facts.latest_promise == at(hours=max(moves)[1] if moves else 3)
    assert len(facts.promises) == len(moves) + 1


def test_a_correction_of_the_order_may_state_another_promise_but_not_another_first_one() -> None:
    claim = claimed(
        completed(promised_at=at(hours=3)),
        completed(time=at(hours=5), event_id="corrected", promised_at=at(hours=9)),
        scanned(time=at(hours=8)),
    )
    assert (claim.on_time_first, claim.on_time_latest) == (False, True)


def test_an_order_without_a_promise_claims_nothing_about_time() -> None:
    facts = facts_of(completed(promised_at=None), scanned(time=at(hours=2)))
    assert (facts.first_promise, facts.latest_promise) == (None, None)
    claim = claim_of(facts)
    assert (claim.on_time_first, claim.on_time, claim.delivered_at) == (None, None, at(hours=2))


@pytest.mark.parametrize(
    ("timezone", "last_moment"),
    [
        ("UTC", datetime(2026, 3, 2, 23, 59, 59, 999999, tzinfo=UTC)),
        ("America/Sao_Paulo", datetime(2026, 3, 3, 2, 59, 59, 999999, tzinfo=UTC)),
        ("Asia/Kolkata", datetime(2026, 3, 2, 18, 29, 59, 999999, tzinfo=UTC)),
    ],
)
def test_a_promise_of_a_date_is_kept_until_the_local_day_of_delivery_ends(timezone: str, last_moment: datetime) -> None:
    order = completed(promised_at="2026-03-02", requested_at="2026-03-02", timezone=timezone)
    kept = claimed(order, scanned(time=last_moment))
    assert (kept.on_time_first, kept.on_time_latest, kept.on_time_requested) == (True, True, True)
    missed = claimed(order, scanned(time=last_moment + timedelta(microseconds=1)))
    assert (missed.on_time_first, missed.on_time_latest, missed.on_time_requested) == (False, False, False)


def test_a_date_on_the_day_the_clocks_change_ends_at_that_days_midnight() -> None:
    facts = facts_of(completed(promised_at="2026-03-29", timezone="Europe/Paris"))
    assert facts.first_promise == datetime(2026, 3, 29, 21, 59, 59, 999999, tzinfo=UTC)


def test_the_claim_is_compared_with_each_of_three_dates() -> None:
    claim = claimed(
        completed(promised_at=at(hours=3), requested_at=at(hours=1)),
        repromised("SO-1", at(hours=4), at(hours=8)),
        scanned(time=at(hours=6)),
    )
    assert (claim.on_time_first, claim.on_time_latest, claim.on_time_requested) == (False, True, False)
    assert claim.on_time is True, "the claim in reports"
    assert claimed(completed(), scanned(time=at(hours=2))).on_time_requested is None


# --- deliveries ---------------------------------------------------------------------------------------------


def delivered_at(shipments: int, *scans: bytes) -> datetime | None:
    return claimed(completed(shipments=shipments), *scans).delivered_at


def test_an_order_of_several_shipments_is_delivered_with_the_last_of_them() -> None:
    first, second = scanned(time=at(hours=2), shipment_id="a"), scanned(time=at(hours=1), shipment_id="b")
    assert delivered_at(3, first, second) is None
    assert delivered_at(2, first, second) == at(hours=2)
    assert delivered_at(2, first, scanned(time=at(hours=3), shipment_id="a")) is None, "one parcel scanned twice"


def test_a_scan_without_a_shipment_applies_to_all_shipments() -> None:
    assert delivered_at(3, scanned(time=at(hours=2))) == at(hours=2)
    assert delivered_at(3, scanned(time=at(hours=2)), scanned(time=at(hours=4), shipment_id="a")) == at(hours=4)


@pytest.mark.parametrize("status", ["dispatched", "out_for_delivery", "attempted", "available_for_pickup", "exception"])
def test_a_dispatched_shipment_is_not_delivered(status: str) -> None:
    assert delivered_at(1, scanned(status=status)) is None
    assert delivered_at(1, scanned(time=at(hours=1)), scanned(time=at(hours=2), status=status)) == at(hours=1)


def test_a_returned_shipment_is_not_delivered() -> None:
    came, back = (
        scanned(time=at(hours=1), shipment_id="a"),
        scanned(time=at(hours=2), status="returned", shipment_id="a"),
    )
    other, again = scanned(time=at(hours=1), shipment_id="b"), scanned(time=at(hours=3), shipment_id="a")
    assert delivered_at(1, came, back) is None
    assert delivered_at(2, came, other, back) is None
    assert delivered_at(2, came, other, back, again) == at(hours=3)
    assert delivered_at(2, came, other, scanned(time=at(hours=4), status="returned")) is None, "all of it was returned"


def test_a_later_scan_corrects_an_earlier_one() -> None:
    early = scanned(time=at(hours=2))
    corrected = scanned(time=at(hours=9), at=at(hours=7))
    assert delivered_at(1, early, corrected) == at(hours=7)
    earlier_after_all = scanned(time=at(hours=9), at=at(hours=1))
    assert delivered_at(1, early, earlier_after_all) == at(hours=1)


# --- in full ------------------------------------------------------------------------------------------------


def in_full(lines: list[dict[str, Any]], *scans: bytes) -> bool | None:
    return claimed(completed(lines=lines), *scans, scanned(time=at(hours=2))).in_full


@pytest.mark.parametrize(
    ("delivered", "expected"),
    [([10, 5], True), ([10, 6], True), ([9, 5], False), ([10, None], None), ([9, None], None)],
)
def test_an_order_is_in_full_if_every_line_is_complete(delivered: list[float | None], expected: bool | None) -> None:
    lines = [
        {"sku": "a", "ordered": 10, "delivered": delivered[0]},
        {"sku": "b", "ordered": 5, "delivered": delivered[1]},
    ]
    assert in_full(lines) is expected


def test_an_order_without_lines_claims_nothing_about_quantities() -> None:
    assert in_full([]) is None


def test_a_line_with_an_ordered_quantity_of_zero_is_full() -> None:
    assert in_full([{"sku": "a", "ordered": 0, "delivered": 0}]) is True


def brought(shipment: str, hours: float, **quantities: float) -> bytes:
    lines = [{"sku": sku, "delivered": quantity} for sku, quantity in quantities.items()]
    return scanned(time=at(hours=hours), shipment_id=shipment, lines=lines)


def test_quantities_of_shipments_are_summed_and_override_those_of_the_order() -> None:
    lines = [{"sku": "a", "ordered": 10, "delivered": 10}, {"sku": "b", "ordered": 5, "delivered": 0}]
    assert in_full(lines, brought("p1", 1, a=4, b=5), brought("p2", 1.5, a=6)) is True
    assert in_full(lines, brought("p1", 1, a=4, b=5), brought("p2", 1.5, a=5)) is False
    assert in_full(lines, brought("p1", 1, a=10)) is False, "b was not delivered"


def test_a_shipments_later_count_of_a_line_replaces_its_earlier_one() -> None:
    lines = [{"sku": "a", "ordered": 10}]
    assert in_full(lines, brought("p1", 1, a=10), brought("p1", 1.5, a=9)) is False
    assert in_full(lines, brought("p1", 1, a=5), brought("p1", 1.5, a=5)) is False, "not ten"


def test_two_lines_of_one_article_are_summed() -> None:
    lines = [{"sku": "a", "ordered": 3}, {"sku": "a", "ordered": 4}]
    assert in_full(lines, brought("p1", 1, a=6)) is False
    assert in_full(lines, brought("p1", 1, a=7)) is True


@pytest.mark.parametrize(
    ("ordered", "parcels", "full"),
    [
        ([0.8], [0.7, 0.1], True),
        ([0.1, 0.2], [0.3], True),
        ([0.8], [0.79], False),
        ([0.8], [0.7, 0.09], False),
        ([1e12], [999_999_999_999.9, 0.1], True),
    ],
)
def test_quantities_are_decimals(ordered: list[float], parcels: list[float], full: bool) -> None:
    lines = [{"sku": "a", "ordered": quantity} for quantity in ordered]
    assert in_full(lines, *(brought(f"p{n}", 1, a=quantity) for n, quantity in enumerate(parcels))) is full
    (one_scan,) = ([{"sku": "a", "delivered": quantity} for quantity in parcels],)
    assert in_full(lines, scanned(time=at(hours=1), lines=one_scan)) is full, "in several lines of one scan"


_QUANTITY = st.decimals(min_value=0, max_value=1_000_000, places=6)


@given(parts=st.lists(_QUANTITY, min_size=1, max_size=6), short=st.sampled_from([0, "0.000001"]), cut=st.integers(1, 5))
def test_decimal_sums_are_exact_in_full_and_the_smallest_shortfall_is_not(
    parts: list[Decimal], short: object, cut: int
) -> None:
    """Over lines and shipments, with as many digits as a source may write."""
    wanted = sum(parts, Decimal(str(short)))
    order = completed(lines=[{"sku": "a", "ordered": 0}]).replace(b'"ordered":0', f'"ordered":{wanted:f}'.encode())
    scans = [
        scanned(time=at(hours=1), shipment_id=f"p{n % cut}{n}", lines=[{"sku": "a", "delivered": 0}])
        for n in range(len(parts))
    ]
    scans = [
        raw.replace(b'"delivered":0', f'"delivered":{part:f}'.encode()) for raw, part in zip(scans, parts, strict=True)
    ]
    assert claimed(order, *scans, scanned(time=at(hours=2))).in_full is (short == 0)


def test_an_undelivered_order_claims_nothing() -> None:
    assert claimed(completed()) == NO_CLAIM


# --- dialogue -----------------------------------------------------------------------------------------------


def dialogue_of(*raws: bytes) -> Dialogue:
    dialogue = Dialogue()
    for raw in raws:
        dialogue.apply_answer(event(raw))
    return dialogue


def test_the_latest_answer_of_each_person_counts() -> None:
    raws = [
        answered(time=at(hours=5), contact_id="ana", arrival="on_time"),
        answered(time=at(hours=4), contact_id="ben", arrival="late"),
        answered(time=at(hours=3), contact_id="ana", arrival="late"),
        answered(time=at(hours=9), contact_id="ben", event_id="undated", answered_at=None, arrival="on_time"),
    ]
    expected = [("ben", "late"), ("ana", "on_time")]
    for order in (raws, raws[::-1]):
        assert [(answer.contact_id, answer.arrival) for answer in dialogue_of(*order).current_answers()] == expected
    assert len(dialogue_of(*raws).answers) == 4


def test_an_undated_answer_counts_until_there_is_another() -> None:
    (answer,) = dialogue_of(answered(answered_at=None, arrival="late")).current_answers()
    assert answer.arrival == "late"


def test_an_answer_amended_to_not_received_no_longer_counts_as_complete() -> None:
    """The evidence must not contain "complete" for goods that were not received."""
    first = answered(time=at(hours=1), event_id="first", arrival="on_time", complete=True)
    second = answered(time=at(hours=2), event_id="second", arrival="not_received")
    for order in ((first, second), (second, first)):
        dialogue = dialogue_of(*order)
        (answer,) = dialogue.current_answers()
        assert (answer.id, answer.arrival, answer.complete) == ("second", "not_received", None)
        assert len(dialogue.answers) == 2, "both are kept"


def test_the_latest_event_that_names_a_contact_defines_it() -> None:
    facts = facts_of(
        completed(contacts=[contact("ana", language="fr")]),
        completed(time=at(hours=1), event_id="later", contacts=[contact("ana", language="pt"), contact("ben")]),
    )
    ana = contact_of(facts, "ana")
    assert ana is not None
    assert ana.language == "pt"
    assert contact_of(facts, "cleo") is None
    assert contact_of(Order("SO-2").facts, "ana") is None
