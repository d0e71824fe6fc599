"""Carriers' events, which know a tracking number and no order, reach the orders that have it."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.store.db.engine import reading
from pipeline.store.schema.asks import asks
from pipeline.store.schema.journal import dead_letters
from pipeline.store.schema.orders import claims, orders, timers
from pipeline.store.schema.tracking import tracked_events, tracking_numbers
from tests.support.builders import at, completed, contact, retracted, scanned, tracked
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import ingest
from tests.support.stored import rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

SHIPMENTS = [{"shipment_id": "P1", "tracking_number": "1Z 999", "carrier": "Nordex"}]


def delivered(runtime: EmbeddedRunner) -> dict[str, Any]:
    """When each order was delivered, by its current claim."""
    with reading(runtime.engine) as connection:
        found = connection.execute(select(orders.c.order_id, orders.c.dialogue).order_by(orders.c.order_id))
        return {order_id: msgspec.json.decode(text, type=Dialogue).claim.delivered_at for order_id, text in found}


def order(order_id: str = "SO-1", days: float = 0, **data: Any) -> bytes:
    """An order of a contact of its own."""
    people = [contact(order_id, phone=f"+4477009001{int(order_id[-1]):02}")]
    return completed(
        order_id, at(days=days), f"{order_id}:{days}", contacts=people, **({"shipments": SHIPMENTS} | data)
    )


def test_a_carriers_scan_is_joined_by_the_tracking_number(runtime: EmbeddedRunner) -> None:
    ingest(runtime, order(), tracked("1z-999", at(hours=1), "dispatched"), tracked("1z999", at(hours=2)))
    assert delivered(runtime) == {"SO-1": at(hours=2)}
    assert [ask["decided_at"] for ask in rows(runtime, asks)] == [at(hours=2)]
    assert [claim["source"] for claim in rows(runtime, claims)] == ["carrier"]


def test_a_number_may_come_with_a_scan_of_the_order(runtime: EmbeddedRunner) -> None:
    packed = scanned("SO-1", at(hours=1), "dispatched", shipment_id="P1", tracking_number="1Z999")
    ingest(runtime, order(shipments=None), packed, tracked("1Z999", at(hours=2)))
    assert delivered(runtime) == {"SO-1": at(hours=2)}


def test_a_scan_waits_for_its_order(runtime: EmbeddedRunner) -> None:
    ingest(runtime, tracked("1Z999", at(hours=2)))
    assert rows(runtime, orders) == []
    ingest(runtime, order(days=13))
    assert delivered(runtime) == {"SO-1": at(hours=2)}
    assert [ask["decided_at"] for ask in rows(runtime, asks)] == [at(days=13)]
    runtime.tick(at(days=30))
    assert (rows(runtime, dead_letters), rows(runtime, tracked_events)) == ([], [])


def test_after_fourteen_days_without_an_order_it_is_a_dead_letter(runtime: EmbeddedRunner) -> None:
    ingest(runtime, tracked("1Z999", at()), tracked("1Z999", at(days=2), "returned"))
    runtime.tick(at(days=13.9))
    assert rows(runtime, dead_letters) == []
    runtime.tick(at(days=14))
    (letter,) = rows(runtime, dead_letters)
    assert letter["field"] == "data.tracking_number"
    assert "14 days" in letter["reason"]
    ingest(runtime, order(days=14.5))
    assert delivered(runtime) == {"SO-1": None}, "the second one, a return, still waited for it"
    runtime.tick(at(days=40))
    assert len(rows(runtime, dead_letters)) == 1
    assert (rows(runtime, tracked_events), [t for t in rows(runtime, timers) if t["kind"] == "tracked_event"]) == (
        [],
        [],
    )


def test_one_number_may_serve_several_orders_also_one_that_comes_later(runtime: EmbeddedRunner) -> None:
    ingest(runtime, order("SO-1"), order("SO-2"), tracked("1Z999", at(hours=2)), order("SO-3", days=1))
    assert delivered(runtime) == {"SO-1": at(hours=2), "SO-2": at(hours=2), "SO-3": at(hours=2)}
    ingest(runtime, tracked("1Z999", at(days=2), "returned"))
    assert set(delivered(runtime).values()) == {None}


def test_a_number_of_very_many_orders_is_a_placeholder_and_joins_nothing(
    runtime: EmbeddedRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.store.orders.tracking.MOST_ORDERS", 2)
    ingest(runtime, order("SO-1"), order("SO-2"), order("SO-3"), order("SO-4"))
    own = scanned("SO-4", at(hours=3), "delivered", shipment_id="P1", tracking_number="1Z999")
    ingest(runtime, own, tracked("1Z999", at(hours=4)))
    assert delivered(runtime) == {"SO-1": None, "SO-2": None, "SO-3": None, "SO-4": at(hours=3)}
    assert [(letter["field"], letter["reason"]) for letter in rows(runtime, dead_letters)] == [
        ("data.tracking_number", "more than 100 orders have this tracking number")
    ]
    assert len(rows(runtime, tracking_numbers)) == 3, "one more than it may have: no more are noted"
    assert rows(runtime, tracked_events) == []


def test_what_waits_for_a_number_is_a_dead_letter_in_time_if_too_many_orders_have_it(
    runtime: EmbeddedRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.store.orders.tracking.MOST_ORDERS", 1)
    ingest(runtime, tracked("1Z999", at(hours=2)), order("SO-1"), order("SO-2"))
    assert delivered(runtime) == {"SO-1": at(hours=2), "SO-2": None}
    runtime.tick(at(days=20))
    assert ["more than" in letter["reason"] for letter in rows(runtime, dead_letters)] == [True]


def test_not_everything_waits_for_a_number_that_no_order_has(
    runtime: EmbeddedRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.consumers.tracking.MOST_WAITING", 2)
    ingest(runtime, *(tracked("n/a", at(hours=n), "dispatched") for n in range(4)))
    assert len(rows(runtime, tracked_events)) == 2
    assert {letter["reason"] for letter in rows(runtime, dead_letters)} == {
        "200 events with this tracking number wait for an order"
    }
    assert len(rows(runtime, dead_letters)) == 2


def test_a_number_that_is_used_again_leaves_the_earlier_order_alone(runtime: EmbeddedRunner) -> None:
    ingest(runtime, order("SO-1"), tracked("1Z999", at(days=1)))
    ingest(
        runtime,
        order("SO-2", days=40),
        tracked("1Z999", at(days=41), "out_for_delivery"),
        tracked("1Z999", at(days=42)),
    )
    assert delivered(runtime) == {"SO-1": at(days=1), "SO-2": at(days=42)}
    assert len(rows(runtime, claims)) == 2


def test_of_a_number_used_again_even_the_events_before_the_order_find_it(runtime: EmbeddedRunner) -> None:
    ingest(runtime, order("SO-1"), tracked("1Z999", at(days=1)), tracked("1Z999", at(days=39)))
    ingest(runtime, order("SO-2", days=40))
    assert delivered(runtime) == {"SO-1": at(days=1), "SO-2": at(days=39)}


def test_an_event_long_after_the_delivery_that_no_other_order_claims_is_a_dead_letter(runtime: EmbeddedRunner) -> None:
    ingest(runtime, order("SO-1"), tracked("1Z999", at(days=1)), tracked("1Z999", at(days=90), "returned"))
    assert delivered(runtime) == {"SO-1": at(days=1)}
    runtime.tick(at(days=105))
    assert [letter["field"] for letter in rows(runtime, dead_letters)] == ["data.tracking_number"]


@pytest.mark.parametrize("first", [True, False], ids=["before the scan", "after the scan"])
@pytest.mark.parametrize("known", [True, False], ids=["order known", "order later"])
def test_a_carrier_retracts_by_the_tracking_number(runtime: EmbeddedRunner, first: bool, known: bool) -> None:
    mistake = tracked("1Z999", at(hours=2))
    undone = retracted(mistake, at(hours=3), tracking_number="1Z999")
    events = [undone, mistake] if first else [mistake, undone]
    ingest(runtime, *([order(), *events] if known else [*events, order()]), received_at=at(hours=3))
    assert delivered(runtime) == {"SO-1": None}


def test_who_signed_for_a_number_is_sealed_like_any_name(runtime: EmbeddedRunner) -> None:
    ingest(runtime, order(), tracked("1Z999", at(hours=2), signed_by="Dana at the dock"))
    with reading(runtime.engine) as connection:
        everything = "".join(str(tuple(row)) for row in connection.execute(select(tracked_events)))
    assert "Dana" not in everything
    assert delivered(runtime) == {"SO-1": at(hours=2)}


def test_of_two_listed_parcels_both_numbers_have_to_arrive(runtime: EmbeddedRunner) -> None:
    two = [*SHIPMENTS, {"tracking_number": "1Z998"}]
    ingest(runtime, order(shipments=two), tracked("1Z999", at(hours=1)))
    assert delivered(runtime) == {"SO-1": None}
    ingest(runtime, tracked("1Z998", at(hours=2)))
    assert delivered(runtime) == {"SO-1": at(hours=2)}
