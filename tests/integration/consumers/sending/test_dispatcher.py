"""From a delivery to a question at the provider: sent once, looked up if unknown, never in quiet hours."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.sending.dispatcher import LEASE, Dispatcher
from pipeline.consumers.sending.sender import message_of
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.asking.ask_states import AskState, hashed
from pipeline.domain.asking.policy import Policy
from pipeline.notifiers.channels.demo_phone.notifier import Phone
from pipeline.notifiers.port import Accepted, Found, Message, NotAccepted, ProviderAnswer
from pipeline.store.asks.claiming import Claimer
from pipeline.store.asks.outcomes import AcceptedMessage, AskKey, ask_by_callback, record_accepted, record_not_accepted
from pipeline.store.asks.phone_messages import PhoneStore, SentMessage, newest_messages
from pipeline.store.db.engine import reading
from pipeline.store.orders.orders import OrderStore
from pipeline.store.reads import reports
from pipeline.store.schema.asks import asks
from pipeline.store.schema.journal import dead_letters, journal
from pipeline.store.schema.people import opt_outs
from tests.support.builders import answered, asked, at, completed, contact, repromised, scanned
from tests.support.limits import PATIENCE
from tests.support.modes import EVERYWHERE
from tests.support.provider import Provider
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.sending import (
    A_DAY_LATER,
    CONTEXT,
    dispatcher,
    sending_runner,
    states,
    stored,
    twilio,
    webhook,
)

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

DELIVERED = at(hours=2)  # Monday, 11:00 UTC


@pytest.fixture
def begin(database_url: str) -> Iterator[Callable[..., EmbeddedRunner]]:
    """Start a runner of an installation that sends questions. A further call is a restart."""
    started: list[EmbeddedRunner] = []

    def _begin(policy: Policy | None = None) -> EmbeddedRunner:
        started.append(sending_runner(database_url, policy))
        return started[-1]

    yield _begin
    for runtime in started:
        runtime.engine.dispose()


@pytest.fixture
def runtime(begin: Callable[..., EmbeddedRunner]) -> EmbeddedRunner:
    return begin()


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with Provider(tmp_path / "posts", now=lambda: DELIVERED) as running:
        yield running


@pytest.fixture
def sender(runtime: EmbeddedRunner, provider: Provider) -> Iterator[Dispatcher]:
    made = dispatcher(runtime.store, twilio(provider.url))
    yield made
    made.stop()


def deliver(runtime: EmbeddedRunner, order_id: str = "SO-1", moment: datetime = DELIVERED, **order: Any) -> None:
    ingest(runtime, completed(order_id, time=moment, **order), scanned(order_id, time=moment))


def dialogue(runtime: EmbeddedRunner, order_id: str = "SO-1") -> Any:
    with reading(runtime.engine) as connection:
        store = OrderStore(connection, runtime.setup.levels)
        store.load([order_id])
        return store.peek(order_id).dialogue


def figures(runtime: EmbeddedRunner) -> dict[str, int]:
    with reading(runtime.engine) as connection:
        return reports.total(connection, LOCAL)


def requests(runtime: EmbeddedRunner) -> list[dict[str, Any]]:
    with reading(runtime.engine) as connection:
        query = select(journal.c.payload).where(journal.c.type == "feedback.requested").order_by(journal.c.seq)
        return [json.loads(payload) for payload in connection.execute(query).scalars()]


def count(runtime: EmbeddedRunner, table: Any) -> int:
    with reading(runtime.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_a_delivery_leads_to_a_question_that_becomes_part_of_the_order(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    deliver(runtime)
    (ask,) = stored(runtime.engine)
    assert (ask["state"], ask["due_at"], requests(runtime)) == ("due", DELIVERED, [])
    assert figures(runtime)["pending"] == 1

    assert sender.run_once(DELIVERED) == 2, "claimed, and recorded"
    (ask,) = stored(runtime.engine)
    (post,) = provider.posts
    token = post["Body"].split("/f/")[1][:22]
    assert (ask["state"], ask["outcome"], ask["provider_id"]) == ("sent", "accepted", provider.made[0].sid)
    assert ask["form_token_hash"] == hashed(token)
    assert token not in json.dumps(ask, default=str), "a reader of the database cannot open the form"
    assert post["To"] not in json.dumps(ask, default=str)

    runtime.process_pending()
    (request,) = requests(runtime)
    assert (request["source"], request["id"]) == ("unvarnished", "SO-1:delivery:ana")
    assert request["data"]["claim"]["on_time_latest"] is True
    (put,) = dialogue(runtime).asks
    assert (put.contact_id, put.at) == ("ana", DELIVERED)
    assert (figures(runtime)["asked"], "pending" in figures(runtime)) == (1, False)

    ingest(runtime, answered(time=at(hours=3), arrival="late"))
    assert states(runtime.engine) == ["answered"]
    assert figures(runtime)["on_time:10"] == 1


def test_the_claim_of_a_pair_is_that_of_the_commit_before_sending(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    deliver(runtime)
    ingest(runtime, repromised("SO-1", at(hours=2.5), at(hours=1)))  # corrected before the question
    sender.run_once(at(hours=3))
    ingest(runtime, repromised("SO-1", at(hours=3.5), at(hours=9)))  # and back again after it
    ingest(runtime, answered(time=at(hours=4), arrival="late"))
    assert dialogue(runtime).claim_when_asked().on_time_latest is False


def test_while_a_question_is_due_nothing_makes_it_due_again(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    ingest(runtime, completed(time=at()), scanned(time=DELIVERED), scanned(time=at(hours=4)))
    ingest(runtime, completed(event_id="again", time=at(hours=5)), asked("SO-1", at(hours=5)))
    runtime.tick(at(days=3))  # the timer of the missing scan has fired, too
    assert states(runtime.engine) == ["due"]
    sender.run_once(at(days=1))
    runtime.process_pending()
    assert len(provider.posts) == 1
    assert len(dialogue(runtime).asks) == 1


def test_only_one_decision_can_be_stored_for_an_order_a_contact_and_a_purpose(runtime: EmbeddedRunner) -> None:
    deliver(runtime)
    (ask,) = stored(runtime.engine)
    with pytest.raises(IntegrityError), runtime.engine.begin() as connection:
        connection.execute(asks.insert().values({**ask, "decided_at": at(hours=3), "state": "not_asked"}))


def test_a_link_belongs_to_one_ask_only(runtime: EmbeddedRunner) -> None:
    deliver(runtime)
    deliver(runtime, "SO-2", account={"id": "A-2"}, contacts=[contact("bob", phone="+447700900124")])
    with pytest.raises(IntegrityError), runtime.engine.begin() as connection:
        connection.execute(asks.update().values(form_token_hash=hashed("the same")))


def test_later_events_do_not_change_a_decision(runtime: EmbeddedRunner) -> None:
    deliver(runtime)
    with pytest.raises(Exception, match="append-only"), runtime.engine.begin() as connection:
        connection.execute(text("UPDATE asks SET channel = 'pigeon'"))


def test_several_dispatchers_share_the_work_and_send_nothing_twice(runtime: EmbeddedRunner, provider: Provider) -> None:
    people = [contact(f"c{n}", phone=f"+4477009002{n:02}") for n in range(20)]
    for n, person in enumerate(people):
        deliver(runtime, f"SO-{n:02}", contacts=[person], account={"id": f"A-{n}"})
    several = [dispatcher(runtime.store, twilio(provider.url, 10), concurrency=3) for _ in range(4)]
    threads = [threading.Thread(target=one.run_once, args=(DELIVERED,)) for one in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in several:
        one.stop()
    assert sorted(post["To"] for post in provider.posts) == [person["phone"] for person in people]
    assert states(runtime.engine) == ["sent"] * 20
    runtime.process_pending()
    assert figures(runtime)["asked"] == 20


def test_quiet_hours_of_the_recipient_postpone_and_end_the_validity(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    evening = at(hours=10.5)  # 19:30 UTC: half past midnight in Karachi, half past two in New York
    deliver(runtime, "SO-1", evening, contacts=[contact(timezone="Asia/Karachi")])
    deliver(runtime, "SO-2", evening, contacts=[contact("bob", phone="+447700900124")], account={"id": "A-2"})
    assert [row["due_at"] for row in stored(runtime.engine)] == [at(hours=18), evening]
    sender.run_once(evening)
    assert [(post["To"], post["ValidityPeriod"]) for post in provider.posts] == [("+447700900124", "1800")]
    sender.run_once(at(hours=18))
    assert len(provider.posts) == 2


def test_quiet_hours_that_began_before_sending_apply(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    deliver(runtime)
    sender.run_once(at(hours=14))  # no dispatcher ran until 23:00
    assert provider.posts == []
    assert stored(runtime.engine)[0]["due_at"] == at(hours=23)


def test_a_stop_before_the_claim_ends_the_question_and_is_counted(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    deliver(runtime)
    with runtime.engine.begin() as connection:
        connection.execute(
            opt_outs.insert().values(digest=VAULT.phone_digest("+447700900123"), at=DELIVERED, source="sms")
        )
    sender.run_once(DELIVERED)
    assert provider.posts == []
    (ask,) = stored(runtime.engine)
    assert (ask["state"], ask["outcome"], ask["reason"]) == ("not_asked", "opted_out", None)
    runtime.tick(at(hours=3))
    assert figures(runtime)["not_asked:opted_out"] == 1
    deliver(runtime, "SO-1", at(hours=5))
    assert len(stored(runtime.engine)) == 1, "a decision is final"


def test_consent_withdrawn_before_sending_ends_the_question(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    deliver(runtime)
    without = [contact(consent={"sms": False})]
    ingest(runtime, completed(time=at(hours=2.1), event_id="withdrawn", contacts=without))
    sender.run_once(at(hours=3))
    assert (provider.posts, states(runtime.engine)) == ([], ["not_asked"])


def test_removing_a_contact_from_the_order_does_not_prevent_the_question(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    deliver(runtime)
    other = [contact("somebody_kind", phone="+447700900999")]
    ingest(runtime, completed(time=at(hours=2.1), event_id="changed", contacts=other))
    sender.run_once(at(hours=3))
    assert sorted(post["To"] for post in provider.posts) == ["+447700900123", "+447700900999"], "both are asked"


@pytest.mark.parametrize("order_id", ["SO-1", "SO-2"])
def test_omitting_the_number_from_a_correction_does_not_prevent_the_question(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher, order_id: str
) -> None:
    deliver(runtime)
    without = [contact(phone=None, name="Ana the Silent")]
    ingest(runtime, completed(order_id, time=at(hours=2.1), event_id="changed", contacts=without))
    sender.run_once(at(hours=3))
    assert [post["To"] for post in provider.posts] == ["+447700900123"]


def test_a_message_not_accepted_is_retried_and_a_rejected_one_is_not(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    provider.plan("busy", "accept", "opted_out")
    deliver(runtime)
    sender.run_once(DELIVERED)
    assert states(runtime.engine) == ["due"]
    first = stored(runtime.engine)[0]["form_token_hash"]
    sender.run_once(DELIVERED + timedelta(minutes=1))
    assert (states(runtime.engine), len(provider.posts)) == (["sent"], 2)
    assert stored(runtime.engine)[0]["form_token_hash"] != first, "a link belongs to one message"

    deliver(runtime, "SO-2", account={"id": "A-2"}, contacts=[contact("bob", phone="+447700900124")])
    sender.run_once(at(hours=3))
    rejected = stored(runtime.engine)[1]
    assert (rejected["state"], rejected["outcome"], rejected["code"]) == ("not_asked", "rejected", 21610)
    sender.run_once(at(days=2))
    assert len(provider.posts) == 3
    assert count(runtime, opt_outs) == 1
    runtime.tick(at(days=2))
    assert figures(runtime)["not_asked:rejected"] == 1


def test_a_message_the_provider_never_accepts_is_given_up_and_counted(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    provider.always = "unauthorized"
    deliver(runtime)
    for hours in range(0, 52, 4):
        sender.run_once(DELIVERED + timedelta(hours=hours))
    assert len(provider.posts) == 6, "in two days, without the nights"
    assert stored(runtime.engine)[0]["outcome"] == "given_up"
    runtime.tick(at(days=4))
    assert figures(runtime)["not_asked:not_sent"] == 1


def test_a_message_of_unknown_outcome_is_looked_up_and_found_but_never_sent_again(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    provider.plan("reset")
    provider.lag = 2
    deliver(runtime)
    sender.run_once(DELIVERED)
    assert (states(runtime.engine), requests(runtime)) == (["unknown"], [])
    for minutes in (1, 5):
        sender.run_once(DELIVERED + timedelta(minutes=minutes))
        assert states(runtime.engine) == ["unknown"], "absence from the list proves nothing"
    sender.run_once(DELIVERED + timedelta(minutes=14))
    assert provider.listings == 2, "looked up at 1 and 5 minutes; the next lookup is at 15"
    sender.run_once(DELIVERED + timedelta(minutes=15))
    assert (states(runtime.engine), len(provider.posts)) == (["sent"], 1)
    runtime.process_pending()
    assert len(dialogue(runtime).asks) == 1


def test_a_message_not_found_for_a_day_is_unresolved_until_it_is_answered(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    provider.plan("error")
    deliver(runtime)
    sender.run_once(DELIVERED)
    sender.run_once(DELIVERED + timedelta(hours=23))
    assert states(runtime.engine) == ["unknown"]
    sender.run_once(DELIVERED + timedelta(hours=24))
    assert (states(runtime.engine), len(provider.posts)) == (["unresolved"], 1)
    runtime.tick(at(days=2))
    assert figures(runtime)["not_asked:unresolved"] == 1
    ingest(runtime, answered(time=at(days=3), arrival="late"))  # so it did arrive
    assert states(runtime.engine) == ["answered"]
    assert (figures(runtime)["on_time:10"], figures(runtime)["asked"]) == (1, 1)


def test_an_unavailable_list_proves_nothing(runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher) -> None:
    provider.plan("error_made")
    deliver(runtime)
    sender.run_once(DELIVERED)
    blind = dispatcher(runtime.store, twilio("http://127.0.0.1:1"))
    blind.run_once(DELIVERED + A_DAY_LATER)
    blind.stop()
    assert states(runtime.engine) == ["unknown"]
    sender.run_once(DELIVERED + A_DAY_LATER + timedelta(hours=1))
    assert states(runtime.engine) == ["sent"]


def test_a_metric_shows_the_delay_of_the_dispatcher(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    def _behind(now: datetime) -> timedelta:
        seen = REGISTRY.get_sample_value("unvarnished_asks_taken_up_timestamp_seconds") or 0
        return timedelta(seconds=now.timestamp() - seen)

    for n in range(2):
        deliver(runtime, f"SO-{n}", contacts=[contact(phone=f"+44770090020{n}")], account={"id": f"A-{n}"})
    later = DELIVERED + timedelta(minutes=5)
    narrow = dispatcher(runtime.store, twilio(provider.url), concurrency=1)
    narrow.run_once(later)
    narrow.stop()
    assert _behind(later) == timedelta(minutes=5), "the second question was not claimed yet"
    sender.run_once(later)
    assert _behind(later) == timedelta(0)


class Paused:
    """A notifier that pauses before it sends, as a suspended process does."""

    name = "paused"

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.sent: list[Message] = []

    def send(self, message: Message) -> ProviderAnswer:
        self.reached.set()
        self.go_on.wait(PATIENCE)
        self.sent.append(message)
        return Accepted("late")

    def find(self, to: str, link_hash: str, since: datetime) -> Found | None:
        raise AssertionError("must not be called")


def test_a_dispatcher_that_acquires_an_expired_lease_looks_the_message_up_and_never_sends_it(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    deliver(runtime)
    stuck = Paused()
    paused = dispatcher(runtime.store, stuck)
    thread = threading.Thread(target=paused.run_once, args=(DELIVERED,))
    thread.start()
    try:
        assert stuck.reached.wait(PATIENCE)
        assert sender.run_once(DELIVERED + LEASE - timedelta(seconds=1)) == 0, "the lease is still valid"
        sender.run_once(DELIVERED + LEASE)
        assert (states(runtime.engine), provider.posts, provider.listings) == (["unknown"], [], 1)
    finally:
        stuck.go_on.set()
        thread.join()
        paused.stop()
    assert (len(stuck.sent), provider.posts) == (1, [])
    assert states(runtime.engine) == ["sent"], "the result of the first dispatcher counts without its lease"


def test_a_response_after_a_lease_takeover_does_not_make_the_ask_due_again(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    deliver(runtime)
    with runtime.engine.begin() as connection:
        claims = Claimer(VAULT, Policy(), "gone", {"sms"}, LEASE).claim(connection, DELIVERED, 5)
    sender.run_once(DELIVERED + LEASE)
    (claimed,) = claims.to_send
    with runtime.engine.begin() as connection:
        assert not record_not_accepted(connection, claimed.key, 1, "gone", at(hours=3))
    assert states(runtime.engine) == ["unknown"]


@pytest.mark.parametrize("final", ["delivered", "failed"])
@pytest.mark.parametrize("when", ["early", "late", "twice", "never"])
def test_callbacks_count_in_any_order_and_never_reset_a_state(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher, when: Any, final: str
) -> None:
    provider.callbacks, provider.final = when, final
    provider.call_back = webhook(runtime.store, DELIVERED)
    deliver(runtime)
    sender.run_once(DELIVERED)
    provider.deliver_late()
    runtime.process_pending()
    (ask,) = stored(runtime.engine)
    assert ask["state"] == ("sent" if when == "never" else final)
    assert ask["code"] == (30003 if final == "failed" and when != "never" else None)
    assert (ask["delivered_at"] is not None) == (final == "delivered" and when != "never")
    assert len(requests(runtime)) == 1
    assert len(dialogue(runtime).asks) == 1


def test_a_callback_resolves_an_unknown_outcome(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    provider.plan("reset")
    provider.callbacks, provider.call_back = "late", webhook(runtime.store, DELIVERED)
    deliver(runtime)
    sender.run_once(DELIVERED)
    assert states(runtime.engine) == ["unknown"]
    provider.deliver_late()
    assert states(runtime.engine) == ["delivered"]
    assert sender.run_once(DELIVERED + A_DAY_LATER) == 0, "no lookup is left"


def test_a_callback_with_a_wrong_token_or_for_another_message_changes_nothing(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    deliver(runtime)
    sender.run_once(DELIVERED)
    token = provider.posts[0]["StatusCallback"].partition("token=")[2]
    call = webhook(runtime.store, DELIVERED)
    call("https://a.example/?token=wrong", {"MessageSid": provider.made[0].sid, "MessageStatus": "failed"})
    call(f"https://a.example/?token={token}", {"MessageSid": "SMother", "MessageStatus": "failed"})
    assert states(runtime.engine) == ["sent"]
    with reading(runtime.engine) as connection:
        assert ask_by_callback(connection, token) is not None


def test_there_is_one_reminder_and_none_after_an_answer(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    deliver(runtime)
    deliver(runtime, "SO-2", account={"id": "A-2"}, contacts=[contact("bob", phone="+447700900124")])
    sender.run_once(DELIVERED)
    runtime.process_pending()
    ingest(runtime, answered(time=at(hours=5), arrival="on_time"))
    for day in range(1, 10):
        runtime.tick(at(days=day, hours=3))
        sender.run_once(at(days=day, hours=3))
        runtime.process_pending()
    first, reminder = provider.posts[:2], provider.posts[2:]
    assert sorted(post["To"] for post in first) == ["+447700900123", "+447700900124"]
    assert [post["To"] for post in reminder] == ["+447700900124"]
    assert "reminder" in reminder[0]["Body"]
    assert [(row["order_id"], row["purpose"]) for row in stored(runtime.engine)] == [
        ("SO-1", "delivery"),
        ("SO-2", "delivery"),
        ("SO-2", "reminder"),
    ]
    runtime.tick(at(days=20))
    assert states(runtime.engine) == ["answered", "expired", "expired"]
    assert figures(runtime)["asked"] == 2


def test_an_answer_before_the_question_makes_it_unnecessary(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    evening = at(hours=12)
    deliver(runtime, moment=evening)
    ingest(runtime, answered(time=at(hours=13), arrival="on_time"))
    sender.run_once(at(days=1))
    assert (provider.posts, states(runtime.engine)) == ([], ["answered"])


def test_an_answer_may_arrive_before_the_event_of_its_question(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    provider.plan("reset")
    deliver(runtime)
    sender.run_once(DELIVERED)
    ingest(runtime, answered(time=at(hours=2.01), arrival="late"))
    assert figures(runtime)["on_time:10"] == 1
    assert states(runtime.engine) == ["answered"]
    sender.run_once(DELIVERED + A_DAY_LATER)
    assert (states(runtime.engine), len(provider.posts)) == (["answered"], 1)


def test_a_forged_event_of_our_own_source_is_a_dead_letter(runtime: EmbeddedRunner) -> None:
    deliver(runtime)
    forged = asked("SO-1", DELIVERED).replace(b'"erp"', b'"unvarnished"')
    ingest(runtime, forged)
    assert dialogue(runtime).asks == []
    assert count(runtime, dead_letters) == 1


def test_the_demo_phone_shows_the_message(runtime: EmbeddedRunner) -> None:
    deliver(runtime, contacts=[contact(language="fr-FR")])
    made = dispatcher(runtime.store, phone_of(runtime))
    made.run_once(DELIVERED)
    made.stop()
    (message,) = shown(runtime)
    assert (message.number, message.name, message.sent_at) == ("+447700900123", "ana", DELIVERED)
    assert "répondez 1 OK" in message.text
    assert f"{CONTEXT.public_url}/f/" in message.text
    assert stored(runtime.engine)[0]["provider_id"] == message.id


def phone_of(runtime: EmbeddedRunner) -> Phone:
    return Phone(PhoneStore(runtime.engine, VAULT))


def shown(runtime: EmbeddedRunner) -> list[SentMessage]:
    with reading(runtime.engine) as connection:
        return newest_messages(connection, VAULT, 10)


def claimed_by_dead_dispatcher(runtime: EmbeddedRunner) -> Message:
    """The message of a dispatcher that claimed it and then died."""
    with runtime.engine.begin() as connection:
        (one,) = Claimer(VAULT, Policy(), "gone", {"sms"}, LEASE).claim(connection, DELIVERED, 5).to_send
    return message_of(one, CONTEXT)


def test_a_message_missing_from_the_demo_phone_was_not_sent_and_is_sent_again(runtime: EmbeddedRunner) -> None:
    deliver(runtime)
    claimed_by_dead_dispatcher(runtime)
    made = dispatcher(runtime.store, phone_of(runtime))
    made.run_once(DELIVERED + LEASE)
    made.stop()
    assert len(shown(runtime)) == 1
    assert (states(runtime.engine), stored(runtime.engine)[0]["attempt"]) == (["sent"], 2)


def test_the_demo_phone_shows_no_message_of_a_dispatcher_that_lost_its_lease(runtime: EmbeddedRunner) -> None:
    deliver(runtime)
    message = claimed_by_dead_dispatcher(runtime)
    made = dispatcher(runtime.store, phone_of(runtime))
    made.run_once(DELIVERED + LEASE)
    made.stop()
    assert isinstance(phone_of(runtime).send(message), NotAccepted), "the paused dispatcher continues"
    assert len(shown(runtime)) == 1


def test_a_message_on_the_demo_phone_is_found_and_not_sent_again(runtime: EmbeddedRunner) -> None:
    deliver(runtime)
    assert isinstance(phone_of(runtime).send(claimed_by_dead_dispatcher(runtime)), Accepted)
    made = dispatcher(runtime.store, phone_of(runtime))
    made.run_once(DELIVERED + LEASE)
    made.stop()
    assert len(shown(runtime)) == 1
    assert (states(runtime.engine), stored(runtime.engine)[0]["attempt"]) == (["sent"], 1)


def test_a_running_dispatcher_sends_a_due_question_as_soon_as_it_is_notified(
    begin: Callable[..., EmbeddedRunner], provider: Provider
) -> None:
    runtime = begin(Policy(quiet_from=time(0), quiet_until=time(0)))
    committed = threading.Event()
    running = dispatcher(
        runtime.store, twilio(provider.url, 5), runtime.setup.policy, now=lambda: DELIVERED, on_committed=committed.set
    )
    running.start()
    deliver(runtime)
    running.wake()
    assert committed.wait(PATIENCE)
    running.stop()
    assert running.ended.exception() is None
    assert states(runtime.engine) == ["sent"]


def test_only_the_newest_attempt_changes_the_state_of_an_ask(
    runtime: EmbeddedRunner, provider: Provider, sender: Dispatcher
) -> None:
    provider.plan("busy")
    deliver(runtime)
    sender.run_once(DELIVERED)
    with runtime.engine.begin() as connection:
        record_accepted(
            connection, runtime.store.journal, [AcceptedMessage(AskKey("SO-1", "ana", "delivery"), 0, "old")], DELIVERED
        )
    assert (states(runtime.engine), requests(runtime)) == ([AskState.DUE], [])
