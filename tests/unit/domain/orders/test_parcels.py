"""Several parcels: when all of them have arrived, what came back, and what a carrier's tracking number means."""

from datetime import datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.events.contract import BadEvent
from pipeline.domain.events.tracking import normal_number
from pipeline.domain.orders.claims import claim_of
from pipeline.domain.orders.facts import Facts, NumberUse
from pipeline.domain.orders.parcels import counts, delivery_of
from tests.support.builders import at, completed, event, retracted, scanned, tracked
from tests.support.facts import facts_of


def scan(hours: float, status: str = "delivered", parcel: str | None = None, **data: Any) -> bytes:
    return scanned(
        time=at(hours=hours), status=status, event_id=f"{parcel}:{status}:{hours}", shipment_id=parcel, **data
    )


def delivered_at(*scans: bytes, **order: Any) -> datetime | None:
    return delivery_of(facts_of(completed(**order), *scans)).delivered_at


# --- parcels that the scans show ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["dispatched", "out_for_delivery", "attempted", "available_for_pickup", "exception"])
@pytest.mark.parametrize("order", [{}, {"shipments": None}, {"shipments": 1}])
def test_a_parcel_that_was_seen_and_has_not_arrived_keeps_the_order_open(status: str, order: dict[str, Any]) -> None:
    first, second = scan(1, "dispatched", "P1"), scan(1, status, "P2")
    assert delivered_at(first, second, scan(2, parcel="P1"), **order) is None
    assert delivered_at(first, second, scan(2, parcel="P1"), scan(3, parcel="P2"), **order) == at(hours=3)


def test_a_single_parcel_is_the_order() -> None:
    assert delivered_at(scan(1, "dispatched", "P1"), scan(2, parcel="P1")) == at(hours=2)


def test_the_number_is_the_larger_of_what_the_order_states_and_what_the_scans_show() -> None:
    both = scan(1, parcel="P1"), scan(2, parcel="P2")
    assert delivered_at(*both, shipments=3) is None
    assert delivered_at(*both, shipments=2) == at(hours=2)
    assert delivered_at(*both, scan(1, "dispatched", "P3"), shipments=2) is None


def test_a_scan_of_the_whole_order_includes_parcels_on_their_way() -> None:
    assert delivered_at(scan(1, "dispatched", "P1"), scan(2, "dispatched", "P2"), scan(3)) == at(hours=3)
    assert delivered_at(scan(1), scan(2, "dispatched", "P1")) == at(hours=1), "the carrier's scans came later"


# --- returns ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parcel", ["P1", "P9", None])
def test_returned_as_a_whole_and_delivered_again_is_delivered_whichever_parcel_is_named(parcel: str | None) -> None:
    assert delivered_at(scan(1, parcel="P1"), scan(2, "returned"), scan(3, parcel=parcel)) == at(hours=3)
    assert delivered_at(scan(2, "returned"), scan(3, parcel=parcel)) == at(hours=3)
    assert delivered_at(scan(1, parcel="P1"), scan(2, "returned")) is None


def test_after_a_return_of_the_whole_order_each_of_its_parcels_has_to_arrive_again() -> None:
    came = scan(1, parcel="P1"), scan(1, parcel="P2"), scan(2, "returned")
    assert delivered_at(*came, scan(3, parcel="P1")) is None
    assert delivered_at(*came, scan(3, parcel="P1"), scan(4, parcel="P2")) == at(hours=4)
    assert delivered_at(*came, scan(3, "dispatched", "P3"), scan(4, parcel="P3")) == at(hours=4), "sent as one parcel"


def test_a_returned_parcel_is_replaced_by_one_that_comes_up_later() -> None:
    returned = scan(1, "dispatched", "P1"), scan(2, "returned", "P1")
    assert delivered_at(*returned, scan(3, "dispatched", "P2")) is None
    assert delivered_at(*returned, scan(3, "dispatched", "P2"), scan(4, parcel="P2")) == at(hours=4)
    assert delivered_at(*returned, scan(4, parcel="P2")) == at(hours=4), "its first scan is its arrival"
    parallel = scan(1, "dispatched", "P1"), scan(1, "dispatched", "P2"), scan(2, "returned", "P1")
    assert delivered_at(*parallel, scan(3, parcel="P2")) is None, "P2 was under way before: it replaces nothing"


def test_one_of_two_is_replaced() -> None:
    scans = scan(1, parcel="P1"), scan(1, parcel="P2"), scan(2, "returned", "P2")
    for order in ({"shipments": 2}, {}):
        assert delivered_at(*scans, scan(3, "dispatched", "P3"), **order) is None
        assert delivered_at(*scans, scan(3, "dispatched", "P3"), scan(4, parcel="P3"), **order) == at(hours=4)


def test_what_replaces_a_parcel_of_a_delivered_order_has_to_arrive_itself() -> None:
    whole = scan(1), scan(2, "returned", "P2")
    assert delivered_at(*whole, scan(3, "dispatched", "P3"), shipments=2) is None
    assert delivered_at(*whole, scan(3, "dispatched", "P3"), scan(4, parcel="P3"), shipments=2) == at(hours=4)
    assert delivered_at(*whole, scan(3, "dispatched", "P2"), shipments=2) is None, "sent once more"
    assert delivered_at(*whole, scan(3, parcel="P2"), shipments=2) == at(hours=3)


@pytest.mark.parametrize(
    ("scans", "order", "expected"),
    [
        ((scan(2, "returned"),), {}, True),
        ((scan(2, "returned", "P1"),), {}, True),
        ((scan(2, "returned", "P1"),), {"shipments": 2}, False),
        ((scan(1, "dispatched", "P2"), scan(2, "returned", "P1")), {}, False),
        ((scan(1, parcel="P2"), scan(2, "returned", "P1")), {}, True),
        ((scan(2, "returned"), scan(3, "dispatched")), {}, False),
        ((scan(2, "returned", "P1"), scan(3, "out_for_delivery", "P1")), {}, False),
        ((scan(2, "returned"), scan(3, parcel="P1")), {}, False),
        ((), {}, False),
    ],
)
def test_an_order_is_returned_if_nothing_else_is_awaited(
    scans: tuple[bytes, ...], order: dict[str, Any], expected: bool
) -> None:
    assert delivery_of(facts_of(completed(**order), *scans)).returned is expected


def test_quantities_of_a_returned_parcel_are_not_delivered() -> None:
    lines = [{"sku": "A", "ordered": 10}]
    came = scan(1, parcel="P1", lines=[{"sku": "A", "delivered": 10}]), scan(2, "returned", "P1")
    less = scan(3, parcel="P2", lines=[{"sku": "A", "delivered": 6}])
    assert claim_of(facts_of(completed(lines=lines), *came, less)).in_full is False
    assert claim_of(facts_of(completed(lines=lines), came[0])).in_full is True


# --- retractions --------------------------------------------------------------------------------------------


def test_a_retracted_scan_does_not_count_whichever_came_first() -> None:
    mistake = scan(2, parcel="P1", lines=[{"sku": "GLV-9", "delivered": 10}])
    taken_back = retracted(mistake, at(hours=3))
    for order in permutations([completed(), mistake, taken_back]):
        assert delivery_of(facts_of(*order)) == (None, False, False)
        assert claim_of(facts_of(*order)).in_full is None
    again = scan(5, parcel="P1")
    assert delivered_at(mistake, taken_back, again) == at(hours=5)


def test_retracting_a_return_or_a_parcel_undoes_it() -> None:
    came, back = scan(1), scan(2, "returned")
    assert delivered_at(came, back, retracted(back, at(hours=3))) == at(hours=1)
    other = scan(1, "dispatched", "P2")
    assert delivered_at(other, scan(2, parcel="P1"), retracted(other, at(hours=3))) == at(hours=2)


def test_a_retraction_names_source_and_id_and_nothing_else_is_retracted() -> None:
    one = scan(1)
    other = retracted(one, at(hours=2), source="another source")
    assert delivered_at(one, other) == at(hours=1)


# --- shipments that the order lists -------------------------------------------------------------------------

TWO = [{"shipment_id": "P1", "tracking_number": "1Z 999-1", "carrier": "Nordex"}, {"tracking_number": "1Z9992"}]


def test_each_listed_shipment_has_to_arrive_by_its_id_or_its_tracking_number() -> None:
    assert delivered_at(scan(1, parcel="P1"), shipments=TWO) is None
    assert delivered_at(scan(1, parcel="P1"), scan(2, parcel="1Z9992"), shipments=TWO) == at(hours=2)
    assert delivered_at(scan(1, parcel="P1"), tracked("1z-9992", at(hours=2)), shipments=TWO) == at(hours=2)
    assert delivered_at(tracked("1Z9991", at(hours=1)), scan(2, parcel="1Z9992"), shipments=TWO) == at(hours=2)
    twice = tracked("1Z9991", at(hours=1)), scan(2, parcel="P1")
    assert delivered_at(*twice, shipments=TWO) is None, "one parcel, scanned under both names"


def test_an_empty_list_of_shipments_is_an_unknown_number() -> None:
    assert delivered_at(scan(1, parcel="P1"), shipments=[]) == at(hours=1)


def test_a_listed_parcel_is_replaced_too() -> None:
    scans = scan(1, parcel="P1"), scan(2, "returned", "1Z9992"), scan(3, "dispatched", "P3")
    assert delivered_at(*scans, shipments=TWO) is None
    assert delivered_at(*scans, scan(4, parcel="P3"), shipments=TWO) == at(hours=4)
    revised = completed(time=at(hours=3), event_id="revised", shipments=[TWO[0], {"shipment_id": "P3"}])
    assert delivery_of(facts_of(completed(shipments=TWO), revised, *scans, scan(4, parcel="P3"))).delivered_at == at(
        hours=4
    )


# --- tracking numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["1Z 999 AA1", "1z999aa1", "1Z-999-AA1", " 1Z999AA1\u200b", "\uff11Z999AA1"])
def test_a_tracking_number_is_the_same_however_it_is_written(written: str) -> None:
    assert normal_number(written) == "1Z999AA1"


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (tracked("--- "), "data.tracking_number"),
        (tracked("x" * 101), "data.tracking_number"),
        (tracked("ß" * 60), "data.tracking_number"),
        (tracked("1Z9", tracking_number=None), "data.order_id"),
        (completed(shipments=[{"carrier": "Nordex"}]), "data.shipments[0].shipment_id"),
        (completed(shipments=[{"shipment_id": "P1"}, {"tracking_number": "?"}]), "data.shipments[1].tracking_number"),
        (completed(shipments=[{"shipment_id": ""}]), "data.shipments[0].shipment_id"),
        (completed(shipments="two"), "data.shipments"),
        (completed(shipments=1.5), "data.shipments"),
    ],
)
def test_unusable_shipments_and_numbers_are_refused_with_the_field(raw: bytes, field: str) -> None:
    with pytest.raises(BadEvent) as refused:
        event(raw)
    assert refused.value.field == field


NUMBER = [{"tracking_number": "1Z9"}]


def reused(since: datetime, *scans: bytes) -> Facts:
    facts = facts_of(completed(shipments=NUMBER), *scans)
    facts.apply_number_use(NumberUse("1Z9", "SO-2", since))
    return facts


def test_a_number_that_another_order_has_soon_is_shared() -> None:
    assert delivery_of(reused(at(days=1), tracked("1Z9", at(days=30)))).delivered_at == at(days=30)
    late = reused(at(days=3), tracked("1Z9", at(days=1)), tracked("1Z9", at(days=4), "returned"))
    assert delivery_of(late).delivered_at is None


def test_a_number_that_another_order_has_long_after_the_delivery_is_another_parcel() -> None:
    ours, theirs = tracked("1Z9", at(days=1)), tracked("1Z9", at(days=38), "returned")
    assert delivery_of(reused(at(days=40), ours, theirs)).delivered_at == at(days=1)
    assert delivery_of(reused(at(days=40), ours, tracked("1Z9", at(days=20), "returned"))).delivered_at is None


def test_without_another_order_a_number_is_foreign_long_after_the_delivery() -> None:
    facts = facts_of(completed(shipments=NUMBER), tracked("1Z9", at(days=1)), tracked("1Z9", at(days=70), "returned"))
    assert delivery_of(facts).delivered_at == at(days=1)
    assert not counts(facts, "carrier", "1Z9:returned:" + f"{at(days=70):%m%d%H%M}")


def test_an_event_long_before_the_order_is_about_another_parcel() -> None:
    order = completed(time=at(days=20), shipments=NUMBER)
    assert delivery_of(facts_of(order, tracked("1Z9", at(days=1)))).delivered_at is None
    assert delivery_of(facts_of(order, tracked("1Z9", at(days=10)))).delivered_at == at(days=10)


# --- any order ----------------------------------------------------------------------------------------------

_STATUSES = st.sampled_from(("dispatched", "out_for_delivery", "delivered", "delivered", "returned", "exception"))
_SCANS = st.lists(st.tuples(st.integers(0, 5), _STATUSES, st.sampled_from((None, "P1", "P2", "P3"))), max_size=9)


@given(scans=_SCANS, shipments=st.sampled_from((None, 1, 2, TWO)), rng=st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(
    scans: list[tuple[int, str, str | None]], shipments: Any, rng: Random
) -> None:
    raws = [scanned(time=at(hours=h), status=s, event_id=f"{n}", shipment_id=p) for n, (h, s, p) in enumerate(scans)]
    raws += [retracted(raw, at(hours=9), f"retracted {n}") for n, raw in enumerate(raws) if rng.random() < 0.2]
    raws.append(completed(shipments=shipments))
    expected = delivery_of(facts_of(*raws))
    rng.shuffle(raws)
    assert delivery_of(facts_of(*raws)) == expected


@given(scans=_SCANS)
def test_a_last_delivery_of_everything_ends_every_history(scans: list[tuple[int, str, str | None]]) -> None:
    """No sequence of scans leaves an order open for ever."""
    raws = [scanned(time=at(hours=h), status=s, event_id=f"{n}", shipment_id=p) for n, (h, s, p) in enumerate(scans)]
    assert delivered_at(*raws, scan(9)) is not None
    each = [scan(9 + n, parcel=parcel) for n, parcel in enumerate(("P1", "P2", "P3"))]
    assert delivered_at(*raws, *each) is not None
    assert timedelta(0) <= (delivered_at(*raws, *each) or at()) - at()
