"""Who becomes askable after the delivery, by a later revision of the order, is asked; nobody is asked twice."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.principal import LOCAL
from pipeline.store.db.engine import reading
from pipeline.store.reads import reports
from pipeline.store.reads.order_record import read_record
from pipeline.store.schema.asks import asks, refusals
from tests.support.builders import at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import ingest
from tests.support.running.sending import sending_runner
from tests.support.stored import published, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

UNASKABLE: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no contact": ([], "no_reachable_contact"),
    "another role": ([contact(role="gatekeeper")], "not_a_role_that_is_asked"),
    "no consent": ([contact(consent=None)], "no_consent"),
    "consent to nothing": ([contact(consent={"sms": False})], "no_consent"),
    "no number": ([contact(phone=None)], "no_reachable_contact"),
    "a number that is none": ([contact(phone="ask at the gate")], "invalid_address"),
    "a channel that is not there": ([contact(consent={"email": True}, email="a@example.com")], "no_channel"),
}


def decisions(runtime: EmbeddedRunner, contact_id: str = "ana") -> list[tuple[str | None, str]]:
    found = [row for row in rows(runtime, asks) if row["contact_id"] == contact_id]
    return [(row["reason"], row["state"]) for row in found]


def revised(n: int, hours: float, *people: dict[str, Any], **more: Any) -> bytes:
    return completed(time=at(hours=hours), event_id=f"revision-{n}", contacts=list(people), **more)


@pytest.mark.parametrize("people", UNASKABLE.values(), ids=UNASKABLE.keys())
@pytest.mark.parametrize("sending", [True, False], ids=["sending", "not sending"])
def test_who_becomes_askable_after_the_scan_is_asked(
    database_url: str, people: tuple[list[dict[str, Any]], str], sending: bool, start: Callable[..., EmbeddedRunner]
) -> None:
    runtime = sending_runner(database_url) if sending else start()
    before, reason = people
    ingest(runtime, completed(contacts=before), scanned(time=at(hours=2)))
    assert [row["reason"] for row in rows(runtime, asks)] == [reason]
    ingest(runtime, revised(1, 2.1, contact()))
    assert decisions(runtime) == [(None, "due")]
    kept = [(row["contact_id"], row["n"], row["reason"]) for row in rows(runtime, refusals)]
    assert kept == ([("ana", 1, reason)] if before else [])
    with reading(runtime.engine) as connection:
        found = reports.total(connection, LOCAL)
        record = read_record(connection, LOCAL, "SO-1")
    assert (found["contactable"], f"not_asked:{reason}" in found) == (1, False)
    assert record is not None
    assert [ask.reason for ask in record.asks] == [reason, None]
    ingest(
        runtime, revised(2, 2.2, contact()), revised(3, 2.3, contact(phone="+447700900999")), scanned(time=at(hours=3))
    )
    assert decisions(runtime) == [(None, "due")]
    runtime.engine.dispose()


def test_every_refusal_has_a_row_of_its_own(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(contacts=[contact(role="gatekeeper")]), scanned(time=at(hours=2)))
    ingest(runtime, revised(1, 3, contact(role="gatekeeper")))  # decided alike: no further decision
    ingest(runtime, revised(2, 4, contact(consent=None)), revised(3, 5, contact(phone=None)))
    assert decisions(runtime) == [("no_reachable_contact", "not_asked")]
    kept = [(row["n"], row["reason"], row["decided_at"]) for row in rows(runtime, refusals)]
    assert kept == [(1, "not_a_role_that_is_asked", at(hours=2)), (2, "no_consent", at(hours=4))]
    with reading(runtime.engine) as connection:
        assert reports.total(connection, LOCAL)["not_asked:no_reachable_contact"] == 1


def test_a_contact_who_is_added_is_asked_too(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    ingest(runtime, revised(1, 3, contact(), contact("ben", role="user", phone="+447700900777")))
    assert decisions(runtime, "ben") == [(None, "due")]
    ingest(runtime, revised(2, 3.5, contact(), contact("cleo", role="user")))  # under the phone that was asked
    assert decisions(runtime, "cleo") == [("asked_recently", "not_asked")]


def test_what_was_refused_for_another_reason_stays_decided(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed("SO-0", at(hours=-1)), scanned("SO-0", at(hours=-1)))
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    found = [row["reason"] for row in rows(runtime, asks)]
    ingest(runtime, revised(1, 3, contact(phone="+447700900666")))
    assert found == [None, "asked_recently"] == [row["reason"] for row in rows(runtime, asks)]


@pytest.mark.parametrize(("hours", "expected"), [(47.9, None), (48, "no_consent")])
def test_only_near_the_delivery(runtime: EmbeddedRunner, hours: float, expected: str | None) -> None:
    ingest(runtime, completed(contacts=[contact(consent=None)]), scanned(time=at(hours=2)))
    ingest(runtime, revised(1, 2 + hours, contact()))
    assert [row["reason"] for row in rows(runtime, asks)] == [expected]


def test_a_delivery_reported_late_leaves_the_same_time(runtime: EmbeddedRunner) -> None:
    """Otherwise a scan held back for two days would settle what nobody could have corrected."""
    ingest(runtime, completed(contacts=[]), scanned(time=at(days=5), at=at(hours=2)))
    ingest(runtime, revised(1, 24 * 5 + 1, contact()), received_at=at(days=5, hours=1))
    assert decisions(runtime) == [(None, "due")]


def test_a_question_whether_it_arrived_follows_a_revision_too(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(contacts=[]))
    runtime.tick(at(hours=28))
    assert [(row["purpose"], row["reason"]) for row in rows(runtime, asks)] == [
        ("missing_scan", "no_reachable_contact")
    ]
    ingest(runtime, revised(1, 29, contact()))
    assert [(row["contact_id"], row["reason"]) for row in rows(runtime, asks) if row["contact_id"]] == [("ana", None)]


def test_what_another_system_asks_about_is_left_to_it(runtime: EmbeddedRunner) -> None:
    from tests.support.builders import asked

    ingest(runtime, completed(), asked("SO-1", at(hours=1)), scanned(time=at(hours=2)))
    ingest(runtime, revised(1, 3, contact(), contact("ben", phone="+447700900777")))
    assert decisions(runtime, "ben") == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE asks SET reason = NULL",
        "UPDATE asks SET reason = 'opted_out'",
        "DELETE FROM asks",
        "UPDATE refusals SET reason = 'opted_out'",
        "DELETE FROM refusals",
    ],
)
def test_no_decision_disappears(runtime: EmbeddedRunner, change: str) -> None:
    ingest(runtime, completed(contacts=[contact(role="gatekeeper")]), scanned(time=at(hours=2)))
    ingest(runtime, revised(1, 3, contact(consent=None)))
    with pytest.raises(Exception, match="append-only"), runtime.engine.begin() as connection:
        connection.execute(text(change))


def test_an_ask_cannot_become_a_refusal(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    with pytest.raises(Exception, match="append-only"), runtime.engine.begin() as connection:
        connection.execute(text("UPDATE asks SET reason = 'opted_out'"))


def test_one_batch_decides_as_many_do(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start(batch=1000)
    ingest(
        runtime,
        completed(contacts=[contact(role="gatekeeper")]),
        scanned(time=at(hours=2)),
        revised(1, 3, contact(consent=None)),
        revised(2, 4, contact()),
    )
    assert decisions(runtime) == [(None, "due")]
    assert [row["n"] for row in rows(runtime, refusals)] == [1, 2]
    assert len(published(runtime, "feedback.requested")) == 1
