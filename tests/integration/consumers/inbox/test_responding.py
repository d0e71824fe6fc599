"""A fixed response to a contact who has answered: sent once, by the rules for messages, and no pair follows from it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.consumers.cases import acting
from pipeline.consumers.inbox.responding import Unreachable, respond
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.eligibility import Reason
from pipeline.domain.asking.policy import Policy
from pipeline.domain.cases import lifecycle
from pipeline.domain.cases.case import case_id_of
from pipeline.domain.events.contract import FixedResponse
from pipeline.domain.incidents.lifecycle import Refused
from pipeline.store.orders.timers import TimerStore
from pipeline.store.schema.alerting.cases import cases
from pipeline.store.schema.asks import asks
from pipeline.store.schema.inbox import inbox
from pipeline.store.schema.journal import dead_letters, journal
from pipeline.store.schema.users import acts
from pipeline.store.unit_of_work import UnitOfWork
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.provider import Provider
from tests.support.requests.conversations import receive_text
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.sending import send_due, sending_runner
from tests.support.stored import counters, published, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
NEVER = datetime.min.replace(tzinfo=UTC)
POLICY = Policy(contact_rest=timedelta(days=7), remind_after=None)


@pytest.fixture
def runtime(database_url: str) -> Iterator[EmbeddedRunner]:
    made = sending_runner(database_url, POLICY)
    yield made
    made.engine.dispose()


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with Provider(tmp_path / "posts") as made:
        yield made


def send(runtime: EmbeddedRunner, provider: Provider, when: datetime) -> None:
    send_due(runtime, provider.url, POLICY, when)


def complained(runtime: EmbeddedRunner, provider: Provider, order_id: str = "SO-1", **person: Any) -> None:
    """A question by text, and an answer that complains."""
    when = at(hours=2)
    of = completed(order_id, time=when, contacts=[contact(**person)])
    ingest(runtime, of, scanned(order_id, time=when), received_at=when)
    send(runtime, provider, when)
    assert "look into it" in (receive_text(runtime, "4", at(hours=3)).reply or "")


def responded(
    runtime: EmbeddedRunner,
    text: FixedResponse = "put_right",
    when: datetime | None = None,
    contact_id: str = "ana",
    order_id: str = "SO-1",
) -> datetime:
    """What a web process does when somebody chooses a response."""
    now = when or at(hours=4)
    with runtime.engine.begin() as connection:
        work = UnitOfWork(connection, runtime.store.journal, runtime.setup, TimerStore(connection, (), NEVER))
        send_at = respond(order_id, contact_id, text, "ben", "10.0.0.1", work, now)
        work.flush()
    runtime.process_pending()
    return send_at


def bodies(provider: Provider) -> list[str]:
    return [post["Body"] for post in provider.posts]


def the_response(runtime: EmbeddedRunner) -> dict[str, Any]:
    [row] = [row for row in rows(runtime, asks) if row["purpose"] == "response"]
    return row


def requests(runtime: EmbeddedRunner) -> list[dict[str, Any]]:
    """The data of our own `feedback.requested`, in order."""
    stored = [row for row in rows(runtime, journal) if row["type"] == "feedback.requested"]
    return [json.loads(row["payload"])["data"] for row in sorted(stored, key=lambda row: row["seq"])]


def waiting(runtime: EmbeddedRunner) -> list[str]:
    return [row["reason"] for row in rows(runtime, inbox) if row["closed_at"] is None]


def test_a_response_is_sent_within_the_rest_and_nothing_that_is_written_back_changes_the_pair(
    runtime: EmbeddedRunner, provider: Provider
) -> None:
    complained(runtime, provider)
    pairs, counted = published(runtime, "fulfilment.compared"), counters(runtime)
    assert responded(runtime) == at(hours=4)
    send(runtime, provider, at(hours=4))
    [_, body] = bodies(provider)
    assert body.startswith("Acme: order SO-1: we have put it right. Tell us more: https://")
    assert body.endswith(" STOP=end")
    assert (the_response(runtime)["state"], the_response(runtime)["response"]) == ("sent", "put_right")
    [act] = [row for row in rows(runtime, acts) if row["what"] == "response_sent"]
    assert (act["who"], act["subject"], act["details"]) == ("ben", "SO-1:ana", '{"response":"put_right"}')
    assert [sent["response"] for sent in requests(runtime)] == [None, "put_right"]

    thanks = receive_text(runtime, "thanks", at(hours=5))
    assert (thanks.reply, thanks.events, waiting(runtime)) == (None, [], [])
    reply = receive_text(runtime, "1", at(hours=6)).reply
    assert reply == "Your supplier: Thank you, a person will read what you wrote."
    assert receive_text(runtime, "all arrived on time, everything complete, 10", at(hours=7)).reply is None
    assert waiting(runtime) == ["unasked", "unasked"]
    assert published(runtime, "fulfilment.compared")[: len(pairs)] == pairs
    assert {event["verdict"] for event in published(runtime, "fulfilment.compared")} == {pairs[0]["verdict"]}
    assert {name: n for name, n in counters(runtime).items() if name in counted} == counted
    receive_text(runtime, "STOP", at(hours=8))
    send(runtime, provider, at(days=30))
    assert len(bodies(provider)) == 2


def test_a_promise_opens_a_case_and_a_contact_gets_one_response_only(
    runtime: EmbeddedRunner, provider: Provider
) -> None:
    when = at(hours=2)
    ingest(runtime, completed(time=when), scanned(time=when), received_at=when)
    send(runtime, provider, when)
    receive_text(runtime, "well, as last time", at(hours=3))
    assert rows(runtime, cases) == []
    responded(runtime, "will_call")
    [case] = rows(runtime, cases)
    assert (case["reasons"], case["closed_at"]) == ('["call"]', None)
    for text in ("will_call", "on_its_way"):
        with pytest.raises(Refused, match="one only"):
            responded(runtime, text)
    send(runtime, provider, at(hours=4))
    with pytest.raises(Refused, match="one only"):
        responded(runtime)
    assert len(bodies(provider)) == 2
    assert len([row for row in rows(runtime, acts) if row["what"] == "response_sent"]) == 1


def test_who_opted_out_is_told_nothing_nor_who_has_not_answered(runtime: EmbeddedRunner, provider: Provider) -> None:
    complained(runtime, provider)
    with pytest.raises(Refused, match="has not answered"):
        responded(runtime, contact_id="bob")
    receive_text(runtime, "STOP", at(hours=3.5))
    with pytest.raises(Unreachable) as stopped:
        responded(runtime)
    assert stopped.value.reason is Reason.OPTED_OUT
    send(runtime, provider, at(hours=5))
    assert "response" not in {row["purpose"] for row in rows(runtime, asks)}


def test_a_stop_while_it_is_due_ends_it_and_after_a_start_another_may_be_chosen(
    runtime: EmbeddedRunner, provider: Provider
) -> None:
    complained(runtime, provider)
    responded(runtime)
    receive_text(runtime, "STOP", at(hours=4))
    send(runtime, provider, at(hours=4.1))
    assert (the_response(runtime)["state"], the_response(runtime)["outcome"]) == ("not_asked", "opted_out")
    receive_text(runtime, "START", at(hours=4.2))
    responded(runtime, "please_call", at(hours=4.3))
    send(runtime, provider, at(hours=4.3))
    assert [body for body in bodies(provider) if "please call us" in body] == bodies(provider)[-1:]
    assert the_response(runtime)["state"] == "sent"


def test_a_response_waits_for_the_end_of_quiet_hours(runtime: EmbeddedRunner, provider: Provider) -> None:
    complained(runtime, provider)
    late, morning = at(hours=13), at(hours=23)  # 22:00 and 8:00
    assert responded(runtime, when=late) == morning
    send(runtime, provider, late)
    assert len(bodies(provider)) == 1
    send(runtime, provider, morning)
    assert len(bodies(provider)) == 2


def test_a_response_rests_no_contact_and_uses_no_limit(runtime: EmbeddedRunner, provider: Provider) -> None:
    complained(runtime, provider)
    responded(runtime, when=at(days=6))
    send(runtime, provider, at(days=6))
    later = at(days=9.2)
    ingest(runtime, completed("SO-2", time=later), scanned("SO-2", time=later), received_at=later)
    send(runtime, provider, later)
    assert ["SO-2" in body for body in bodies(provider)] == [False, False, True], "seven days after the question"


def test_whether_it_is_settled_is_still_answered_after_a_response(runtime: EmbeddedRunner, provider: Provider) -> None:
    complained(runtime, provider)

    def close(case: Any) -> Any:
        return lifecycle.close(case, "delivered", "it came", "ben", at(days=1))

    with runtime.engine.begin() as connection:
        work = UnitOfWork(connection, runtime.store.journal, runtime.setup, TimerStore(connection, (), NEVER))
        acting.perform(case_id_of("SO-1", "ana"), close, VAULT, work, at(days=1))
        work.flush()
    send(runtime, provider, at(days=8))
    responded(runtime, when=at(days=8.1))
    send(runtime, provider, at(days=8.1))
    assert "Our team will look into it again" in (receive_text(runtime, "2", at(days=8.2)).reply or "")
    [case] = rows(runtime, cases)
    assert case["follow_up"] == "no"
    assert receive_text(runtime, "2", at(days=8.3)).reply == (
        "Your supplier: Thank you, a person will read what you wrote."
    )
    assert waiting(runtime) == ["unasked"]


def test_it_does_not_matter_on_which_channel_the_response_went(runtime: EmbeddedRunner, provider: Provider) -> None:
    complained(runtime, provider)
    pairs = published(runtime, "fulfilment.compared")
    responded(runtime)
    send(runtime, provider, at(hours=4))
    with runtime.engine.begin() as connection:  # as if by e-mail: to another address than that of the text
        elsewhere = {"recipient": "e" * 64, "address": "e" * 64, "fallback": "email"}
        connection.execute(asks.update().where(asks.c.purpose == "response").values(elsewhere))
    assert "a person will read" in (receive_text(runtime, "1", at(hours=5)).reply or "")
    assert waiting(runtime) == ["unasked"]
    assert {event["verdict"] for event in published(runtime, "fulfilment.compared")} == {pairs[0]["verdict"]}


def test_words_of_any_source_after_a_response_are_read_by_a_person(runtime: EmbeddedRunner, provider: Provider) -> None:
    complained(runtime, provider)
    ingest(runtime, answered(time=at(hours=3.5), comment="and the box is wet", channel="form", event_id="before"))
    assert waiting(runtime) == []
    responded(runtime)
    send(runtime, provider, at(hours=4))
    ingest(runtime, answered(time=at(hours=5), comment="It is not put right", channel="form", event_id="after"))
    assert waiting(runtime) == ["unasked"]


def test_only_we_send_responses(runtime: EmbeddedRunner, provider: Provider) -> None:
    ingest(runtime, completed(), asked("SO-1", at(hours=1), purpose="response"), received_at=at(hours=1))
    assert [row["field"] for row in rows(runtime, dead_letters)] == ["data.purpose"]


WRITTEN = ["1", "2", "4", "all fine, thanks", "ok", "9", "it was damaged", "nothing came at all", "call me", "10", "no"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.sampled_from(WRITTEN), min_size=1, max_size=5), first=st.sampled_from(["1", "2", "4", "hm"]))
def test_no_text_after_a_response_moves_a_pair(
    runtime: EmbeddedRunner, provider: Provider, texts: list[str], first: str
) -> None:
    """Of a new order each time: the one before has rested."""
    n = next(_orders)
    order_id, days = f"P-{n}", 10 * n
    when = at(days=days, hours=2)
    ingest(runtime, completed(order_id, time=when), scanned(order_id, time=when), received_at=when)
    send(runtime, provider, when)
    receive_text(runtime, first, at(days=days, hours=3))
    responded(runtime, when=at(days=days, hours=4), order_id=order_id)
    send(runtime, provider, at(days=days, hours=4))
    before = verdicts(runtime, order_id), figures(runtime)
    for hour, words in enumerate(texts, 5):
        receive_text(runtime, words, at(days=days, hours=hour))
    assert set(verdicts(runtime, order_id)) == set(before[0])
    assert figures(runtime) == before[1]


_orders = count(1)


def verdicts(runtime: EmbeddedRunner, order_id: str) -> list[str]:
    found = published(runtime, "fulfilment.compared")
    return [event["verdict"] for event in found if event["order_id"] == order_id]


def figures(runtime: EmbeddedRunner) -> dict[str, int]:
    """The counters of pairs and codes. How many orders wait to be read is no figure of theirs."""
    return {name: n for name, n in counters(runtime).items() if name not in ("unread", "read_nothing")}
