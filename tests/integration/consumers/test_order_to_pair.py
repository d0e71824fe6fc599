"""The path of an order: delivered, asked about, answered, compared, counted."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from pipeline.consumers.cases.recording import CASE_DUE
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.silence.sources import SOURCE
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.asking.policy import Policy
from pipeline.store.db.engine import reading
from pipeline.store.reads import reports
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.orders import claims, timers
from pipeline.store.schema.people import opt_outs
from tests.support.builders import answered, asked, at, cancelled, completed, contact, repromised, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import ingest
from tests.support.stored import HISTORIC, published, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)


def figures(runtime: EmbeddedRunner) -> dict[str, int]:
    with reading(runtime.engine) as connection:
        return reports.total(connection, LOCAL)


def test_a_delivery_is_asked_about_answered_and_compared(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    (ask,) = rows(runtime, asks)
    assert (ask["contact_id"], ask["state"], ask["decided_at"]) == ("ana", "due", at(hours=2))
    (request,) = published(runtime, "feedback.requested")
    assert (request["order_id"], request["channel"], request["language"]) == ("SO-1", "sms", "en")

    ingest(runtime, answered(time=at(hours=3), arrival="late", score={"value": 3}, comment="Nobody came before two."))
    (pair,) = published(runtime, "fulfilment.compared")
    assert pair["verdict"] == "embellished"
    assert pair["claim"]["on_time_latest"] is True
    assert {signal: seen["x"] for signal, seen in pair["observations"].items()} == {"on_time": 1.0, "experience": 1.0}
    assert rows(runtime, asks)[0]["state"] == "answered"
    assert rows(runtime, answers)[0]["comment"] == "Nobody came before two."
    assert {timer["kind"] for timer in rows(runtime, timers)} == {SOURCE, CASE_DUE}, "of the complaint, and of sources"
    counted = figures(runtime)
    assert (counted["asked"], counted["answered"], counted["on_time:10"], counted["on_time:detractor"]) == (1, 1, 1, 1)


def test_correcting_the_record_after_the_question_does_not_change_what_was_claimed(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    ingest(runtime, scanned(time=at(hours=20), at=at(hours=20)))  # a correction: it was late
    ingest(runtime, answered(time=at(hours=30), arrival="late"))
    assert [claim["on_time_latest"] for claim in rows(runtime, claims)] == [True, False]
    (pair,) = published(runtime, "fulfilment.compared")
    assert pair["observations"]["on_time"]["x"] == 1.0, "the evidence uses the claim when the question was sent"
    assert figures(runtime)["on_time:00"] == 1, "the figures use the current record"


def test_the_question_is_asked_once_despite_repeated_scans(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)), scanned(time=at(hours=4)), completed(event_id="again"))
    assert len(rows(runtime, asks)) == 1


def test_a_delivery_may_arrive_before_its_order(runtime: EmbeddedRunner) -> None:
    ingest(runtime, scanned(time=at(hours=2)))
    assert rows(runtime, asks) == []
    assert figures(runtime) == {}
    ingest(runtime, completed(time=at()), received_at=at(hours=5))
    assert rows(runtime, asks)[0]["decided_at"] == at(hours=5)


def test_an_order_of_two_shipments_is_asked_about_when_both_have_arrived(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(shipments=2), scanned(time=at(hours=1), shipment_id="a"))
    assert rows(runtime, asks) == []
    ingest(runtime, scanned(time=at(hours=2), shipment_id="b"))
    assert len(rows(runtime, asks)) == 1


def test_an_order_that_is_never_closed_is_asked_about_nevertheless(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed("SO-1"))
    ingest(runtime, repromised("SO-1", at(hours=4), at(days=30)))  # a moved promise does not prevent the question
    ingest(runtime, completed("SO-2", time=at(days=3)))  # time passes
    (ask,) = rows(runtime, asks)
    assert (ask["order_id"], ask["purpose"]) == ("SO-1", "missing_scan")
    assert ask["decided_at"] == at(hours=3 + 24), "a day after the first promise"
    ingest(runtime, answered("SO-1", time=at(days=3), arrival="not_received"))
    assert published(runtime, "fulfilment.compared")[0]["observations"] == {}, (
        "nothing was claimed, nothing is embellished"
    )


def test_an_order_received_long_after_its_promise_is_asked_about_within_seconds(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), received_at=at(days=10))
    runtime.tick(at(days=10, hours=1))
    assert rows(runtime, asks)[0]["decided_at"] - at(days=10) == timedelta(seconds=3)


@pytest.mark.parametrize("end", [scanned(time=at(hours=9), status="returned"), cancelled(time=at(hours=9))])
def test_what_its_source_says_in_the_next_request_comes_in_time(runtime: EmbeddedRunner, end: bytes) -> None:
    ingest(runtime, completed(), received_at=at(days=10))
    runtime.tick(at(days=10))
    ingest(runtime, end, received_at=at(days=10) + timedelta(seconds=1))
    runtime.tick(at(days=12))
    assert [ask for ask in rows(runtime, asks) if ask["state"] != "not_asked"] == []


def test_a_timer_survives_a_restart_and_a_tick_fires_it(start: Callable[..., EmbeddedRunner]) -> None:
    ingest(start(), completed())
    restarted = start()
    restarted.tick(at(hours=26))
    assert rows(restarted, asks) == []
    restarted.tick(at(hours=27))
    assert rows(restarted, asks)[0]["purpose"] == "missing_scan"
    restarted.tick(at(days=20))
    assert rows(restarted, asks)[0]["state"] == "expired"
    ingest(restarted, answered(time=at(days=21), arrival="on_time"))
    assert rows(restarted, asks)[0]["state"] == "answered", "a late answer still counts"


def test_every_stakeholder_counts_and_the_pair_keeps_the_day_of_the_first_answer(runtime: EmbeddedRunner) -> None:
    both = [contact("ana"), contact("ben", role="user", phone="+447700900124")]
    ingest(runtime, completed(contacts=both), scanned(time=at(hours=2)))
    ingest(runtime, answered(time=at(hours=3), arrival="late"))
    ingest(runtime, answered(time=at(days=2), contact_id="ben", arrival="on_time"))
    first, second = published(runtime, "fulfilment.compared")
    assert first["observations"]["on_time"] == {"x": 1.0, "day": at().toordinal(), "previous": None}
    assert second["observations"]["on_time"] == {"x": 0.5, "day": at().toordinal(), "previous": 1.0}


def test_the_latest_answer_of_a_person_counts_and_earlier_ones_are_stored(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    ingest(runtime, answered(time=at(hours=5), arrival="on_time", score={"value": 9}))
    ingest(runtime, answered(time=at(hours=4), arrival="late", score={"value": 1}), received_at=at(hours=6))  # delayed
    ingest(runtime, answered(time=at(), event_id="undated", answered_at=None, arrival="late"), received_at=at(hours=7))
    assert len(rows(runtime, answers)) == 3
    counted = figures(runtime)
    assert (counted["on_time:11"], counted["score:10:9"]) == (1, 1)
    assert "score:10:1" not in counted


def test_an_answer_dated_ahead_of_its_receipt_does_not_win_over_later_ones(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    raw = answered(time=at(hours=3), answered_at=at(days=45_000), arrival="late", score={"value": 1})
    ingest(runtime, raw, received_at=at(hours=3))
    ingest(runtime, answered(time=at(hours=4), arrival="on_time", score={"value": 9}), received_at=at(hours=4))
    assert [row["answered_at"] for row in rows(runtime, answers)] == [at(hours=3), at(hours=4)]
    counted = figures(runtime)
    assert (counted["on_time:11"], counted["score:10:9"]) == (1, 1)


def test_an_opted_out_address_is_not_asked_under_any_contact_id(runtime: EmbeddedRunner) -> None:
    ingest(
        runtime, completed("SO-1"), scanned("SO-1", time=at(hours=2)), answered("SO-1", time=at(hours=3), opt_out=True)
    )
    assert len(rows(runtime, opt_outs)) == 1
    other = [contact("renamed", phone="+44 7700 900123")]
    ingest(runtime, completed("SO-2", time=at(days=40), contacts=other), scanned("SO-2", time=at(days=40, hours=1)))
    assert [ask["reason"] for ask in rows(runtime, asks) if ask["order_id"] == "SO-2"] == ["opted_out"]
    assert figures(runtime)["not_asked:opted_out"] == 1


def test_a_role_has_a_cap_of_its_own_within_the_account(start: Callable[..., EmbeddedRunner]) -> None:
    """Ids and addresses differ, so nothing but the role stops the third; a week later it may be asked again."""
    runtime = start(policy=Policy(role_caps=(("purchaser", 2),)))
    for n, (role, days) in enumerate([("purchaser", 0), ("user", 0.1), ("purchaser", 1), ("purchaser", 2)]):
        people = [contact(f"c{n}", role=role, phone=f"+44770090020{n}")]
        ingest(runtime, completed(f"SO-{n}", at(days), contacts=people), scanned(f"SO-{n}", at(days)))
    later = [contact("c9", role="purchaser", phone="+447700900209")]
    ingest(runtime, completed("SO-9", at(7.5), contacts=later), scanned("SO-9", at(7.5)))
    assert [ask["reason"] for ask in rows(runtime, asks)] == [None, None, None, "role_cap", None]
    assert {ask["role"] for ask in rows(runtime, asks)} == {"purchaser", "user"}


def test_contact_rest_and_account_cap_limit_the_questions(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start(policy=Policy(account_cap=2))
    for n in range(4):
        people = [contact(f"c{n}", phone=f"+44770090020{n}")]
        ingest(runtime, completed(f"SO-{n}", time=at(hours=n), contacts=people), scanned(f"SO-{n}", time=at(hours=n)))
    ingest(runtime, completed("SO-9", time=at(days=6), contacts=[contact("c0")]), scanned("SO-9", time=at(days=6)))
    assert [ask["reason"] for ask in rows(runtime, asks)] == [
        None,
        None,
        "account_cap",
        "account_cap",
        "asked_recently",
    ]


def test_historic_orders_are_not_asked_about(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(**HISTORIC), scanned(time=at(hours=2)))
    assert rows(runtime, asks) == []
    assert figures(runtime)["not_asked:historic"] == 1
    ingest(runtime, asked("SO-1", at(hours=3)), answered(time=at(hours=4), score={"value": 2, "scale": 5}))
    assert rows(runtime, asks)[0]["state"] == "answered"
    counted = figures(runtime)
    assert "not_asked:historic" not in counted
    assert (counted["asked"], counted["score:5:2"], counted["on_time:detractor"]) == (1, 1, 1)


def test_an_answer_may_arrive_before_its_question_and_before_its_order(runtime: EmbeddedRunner) -> None:
    ingest(runtime, answered(time=at(hours=4), arrival="late"))
    ingest(runtime, completed(**HISTORIC), scanned(time=at(hours=2)), received_at=at(hours=5))
    assert published(runtime, "fulfilment.compared") == []
    ingest(runtime, asked("SO-1", at(hours=6)))
    assert published(runtime, "fulfilment.compared")[0]["observations"]["on_time"]["x"] == 1.0


def test_moving_an_order_to_another_segment_moves_its_figures(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    ingest(runtime, completed(time=at(hours=5), event_id="corrected", dimensions={"depot": "Nancy"}))
    with reading(runtime.engine) as connection:
        depots = reports.by_segment(connection, LOCAL, "depot")
        assert set(depots) == {"Nancy"}
        assert depots["Nancy"]["completed"] == 1
        assert reports.by_segment(connection, LOCAL, "carrier") == {}


def test_values_that_a_later_answer_omits_stay(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    ingest(runtime, answered(time=at(hours=3), arrival="late", condition=["damaged"]))
    ingest(runtime, answered(time=at(hours=4), score={"value": 4}))
    counted = figures(runtime)
    assert (counted["on_time:10"], counted["condition:damaged"], counted["score:10:4"]) == (1, 1, 1)


def test_one_returned_parcel_undoes_the_delivery_of_the_order(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(shipments=2), scanned(time=at(hours=2)))
    ingest(runtime, scanned(time=at(hours=3), status="returned", shipment_id="b"))
    assert "delivered" not in figures(runtime)
    ingest(runtime, scanned(time=at(hours=5), shipment_id="b"))
    assert figures(runtime)["delivered"] == 1
