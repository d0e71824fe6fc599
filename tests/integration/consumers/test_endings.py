"""Orders that are cancelled, returned or empty, and scans that are taken back: what is asked, and what is shown."""

from collections.abc import Callable

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.silence.sources import SOURCE
from pipeline.domain.access.principal import LOCAL
from pipeline.store.db.engine import reading
from pipeline.store.reads import reports
from pipeline.store.schema.asks import asks
from pipeline.store.schema.orders import claims, timers
from tests.support.builders import answered, at, cancelled, completed, retracted, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import ingest
from tests.support.running.sending import sending_runner
from tests.support.stored import published, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

MISSED = at(hours=27)  # a day after the promise of `completed`


def figures(runtime: EmbeddedRunner) -> dict[str, int]:
    with reading(runtime.engine) as connection:
        return reports.total(connection, LOCAL)


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        (cancelled(time=at(hours=1)), "cancelled"),
        (cancelled(time=at(hours=4)), "cancelled_late"),
        (scanned(time=at(hours=1), status="returned"), "returned"),
    ],
)
def test_the_customer_is_not_asked_whether_an_ended_order_is_here(
    runtime: EmbeddedRunner, ends: bytes, reason: str
) -> None:
    ingest(runtime, completed(), ends)
    assert figures(runtime)[f"not_asked:{reason}"] == 1, "at once"
    runtime.tick(at(days=30))
    assert rows(runtime, asks) == []
    assert {timer["kind"] for timer in rows(runtime, timers)} == {SOURCE}, "its sources are watched"
    assert ("risk:unreachable" in figures(runtime)) is (reason != "cancelled")


def test_goods_that_leave_after_a_part_was_called_off_give_a_motive(runtime: EmbeddedRunner) -> None:
    lines = [{"sku": "A", "ordered": 10}, {"sku": "B", "ordered": 5}]
    ingest(runtime, completed(lines=lines), cancelled(time=at(hours=1), lines=[{"sku": "A"}]))
    assert "risk" not in figures(runtime)
    ingest(runtime, scanned(time=at(hours=2), status="dispatched"))
    assert figures(runtime)["risk"] == 1


def test_an_order_of_no_pieces_is_not_asked_about(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(lines=[{"sku": "A", "ordered": 0}]))
    runtime.tick(at(days=30))
    assert rows(runtime, asks) == []
    assert figures(runtime)["not_asked:zero_pieces"] == 1


def test_an_order_may_be_cancelled_before_it_arrives(runtime: EmbeddedRunner) -> None:
    ingest(runtime, cancelled(time=at(hours=1)))
    ingest(runtime, completed(time=at()), received_at=at(days=5))
    runtime.tick(at(days=30))
    assert rows(runtime, asks) == []
    assert figures(runtime)["not_asked:cancelled"] == 1


@pytest.mark.parametrize("hours", [1, 4])
def test_a_delivery_that_is_reported_is_asked_about_whatever_was_cancelled(runtime: EmbeddedRunner, hours: int) -> None:
    ingest(runtime, completed(), cancelled(time=at(hours=hours)), scanned(time=at(days=3)))
    (ask,) = rows(runtime, asks)
    assert (ask["purpose"], ask["decided_at"]) == ("delivery", at(days=3))
    counted = figures(runtime)
    assert (counted["asked"], counted["delivered"]) == (1, 1)
    assert not [name for name in counted if name.startswith("not_asked")]
    ingest(runtime, answered(time=at(days=4), arrival="not_received"))
    assert published(runtime, "fulfilment.compared")[0]["claim"]["on_time_latest"] is False


def test_cancelling_a_delivered_order_hides_nothing(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)), cancelled(time=at(hours=5)))
    ingest(runtime, answered(time=at(hours=6), arrival="late"))
    assert figures(runtime)["on_time:10"] == 1
    assert len(rows(runtime, claims)) == 1


def test_an_order_that_is_sent_again_after_its_return_is_asked_about_again(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=1), status="returned"))
    runtime.tick(at(days=3))
    ingest(runtime, scanned(time=at(days=4), status="dispatched"))
    runtime.tick(at(days=5))
    assert [ask["purpose"] for ask in rows(runtime, asks)] == ["missing_scan"]


def test_an_answer_to_an_earlier_question_keeps_its_pair_when_the_order_is_cancelled(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)), answered(time=at(hours=3), arrival="late"))
    mistake = scanned(time=at(hours=2))
    ingest(runtime, retracted(mistake, at(hours=4)), cancelled(time=at(hours=5)))
    assert [claim["delivered_at"] for claim in rows(runtime, claims)] == [at(hours=2), None], "the claim follows"
    (pair,) = published(runtime, "fulfilment.compared")
    assert pair["observations"]["on_time"]["x"] == 1.0, "the evidence keeps what was asked"
    assert len(rows(runtime, asks)) == 1


def test_a_scan_may_be_retracted_before_it_arrives(runtime: EmbeddedRunner) -> None:
    mistake = scanned(time=at(hours=2))
    ingest(runtime, completed(), retracted(mistake, at(hours=1)), mistake)
    assert rows(runtime, asks) == []
    assert rows(runtime, claims) == []
    runtime.tick(MISSED)
    assert [ask["purpose"] for ask in rows(runtime, asks)] == ["missing_scan"], "it is still to be delivered"


def test_after_a_retraction_the_watch_for_the_scan_goes_on(runtime: EmbeddedRunner) -> None:
    mistake = scanned(time=at(hours=2))
    ingest(runtime, completed(contacts=[]), mistake, retracted(mistake, at(hours=3)))
    runtime.tick(MISSED)
    assert [(ask["purpose"], ask["reason"]) for ask in rows(runtime, asks)] == [
        ("delivery", "no_reachable_contact"),
        ("missing_scan", "no_reachable_contact"),
    ]


def test_a_cancelled_order_that_is_completed_again_is_watched_again(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), cancelled(time=at(hours=1)), completed(time=at(hours=2), event_id="again"))
    runtime.tick(at(days=3))
    assert [ask["purpose"] for ask in rows(runtime, asks)] == ["missing_scan"]


def test_the_first_of_several_known_parcels_is_not_the_order(runtime: EmbeddedRunner) -> None:
    under_way = [scanned(time=at(hours=1), status="dispatched", shipment_id=parcel) for parcel in ("P1", "P2")]
    ingest(runtime, completed(), *under_way, scanned(time=at(hours=2), shipment_id="P1"))
    assert rows(runtime, asks) == []
    runtime.tick(MISSED)
    assert [ask["purpose"] for ask in rows(runtime, asks)] == ["missing_scan"], "the second one never came"


@pytest.mark.parametrize("ends", [cancelled(time=at(hours=30)), scanned(time=at(hours=30), status="returned")])
def test_a_question_that_waits_ends_with_the_order_and_comes_back_with_it(
    start: Callable[..., EmbeddedRunner], database_url: str, ends: bytes
) -> None:
    runtime = sending_runner(database_url)
    try:
        ingest(runtime, completed())
        runtime.tick(MISSED)
        assert [ask["state"] for ask in rows(runtime, asks)] == ["due"]
        ingest(runtime, ends)
        assert [(ask["state"], ask["wake_at"]) for ask in rows(runtime, asks)] == [("not_asked", None)]
        reason = "returned" if b"returned" in ends else "cancelled_late"
        assert figures(runtime)[f"not_asked:{reason}"] == 1
        again = completed(time=at(days=9), event_id="again")
        ingest(runtime, again if reason == "cancelled_late" else scanned(time=at(days=9), status="dispatched"))
        runtime.tick(at(days=10))
        assert [ask["state"] for ask in rows(runtime, asks)] == ["due"], "what it was asked about stands again"
    finally:
        runtime.engine.dispose()
