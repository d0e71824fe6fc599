"""After STOP nothing is sent to any address of a contact, nor to those that they get later, until they start again."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.sending.dispatcher import Dispatcher
from pipeline.domain.asking.channels import EMAIL, SMS
from pipeline.domain.asking.policy import Policy
from pipeline.notifiers.port import Accepted, Message, ProviderAnswer
from pipeline.store.asks import outcomes
from pipeline.store.asks.outcomes import AskKey
from pipeline.store.schema.asks import asks
from tests.support.builders import answered, at, completed, contact, scanned
from tests.support.examples import examples
from tests.support.modes import EVERYWHERE
from tests.support.requests.conversations import receive_text
from tests.support.running.embedded import ingest
from tests.support.running.sending import CONTEXT, sending_runner
from tests.support.stored import rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

POLICY = Policy(
    contact_rest=timedelta(0),
    address_daily_cap=0,
    account_cap=1_000,
    remind_after=None,
    channels=(SMS, EMAIL),
    quiet_from=datetime.min.time(),
    quiet_until=datetime.min.time(),
)
BOTH = {"sms": True, "email": True, "source": "contract"}
_people = count(1)


class Recorder:
    """A channel that takes everything."""

    name = "recorder"

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, message: Message) -> ProviderAnswer:
        self.sent.append(message.to)
        return Accepted(f"R-{message.order_id}-{len(self.sent)}")

    def find(self, *_: Any) -> None:
        return None


class Person:
    """Contact "ana" of an account of her own, in a runner that sends on two channels. Each step is a minute later."""

    def __init__(self, runtime: EmbeddedRunner) -> None:
        self.runtime, self.n, self.minute, self.orders = runtime, next(_people), 0, 0
        self.phone = Recorder()
        channels = {SMS.name: self.phone, EMAIL.name: self.phone}
        self.sender = Dispatcher(runtime.store, POLICY, channels, CONTEXT, lambda: self.now)

    @property
    def now(self) -> datetime:
        return at(days=self.n) + timedelta(minutes=self.minute)

    @property
    def order_id(self) -> str:
        return f"SO-{self.n}-{self.orders}"

    def number(self, which: int) -> str:
        return f"+336{self.n:06d}{which:02d}"

    def mail(self, which: int) -> str:
        return f"ana-{self.n}-{which}@customer.example"

    def is_named(self, phone: int, email: int | None = None, prefers: str | None = None) -> None:
        """An order is delivered to her."""
        self.minute += 1
        self.orders += 1
        address = None if email is None else self.mail(email)
        person = contact("ana", phone=self.number(phone), email=address, consent=BOTH, preferred_channel=prefers)
        order = completed(self.order_id, self.now, account={"id": f"A-{self.n}"}, contacts=[person])
        ingest(self.runtime, order, scanned(self.order_id, self.now))
        self.dispatch()

    def writes(self, words: str, phone: int) -> str | None:
        self.minute += 1
        reply = receive_text(self.runtime, words, self.now, self.number(phone)).reply
        self.dispatch()
        return reply

    def answers_with_opt_out(self) -> None:
        """An answer of another system says that she wants no messages."""
        self.minute += 1
        ingest(self.runtime, answered(self.order_id, self.now, "ana", opt_out=True, arrival="late"))
        self.dispatch()

    def dispatch(self) -> None:
        self.sender.run_once(self.now)
        self.runtime.process_pending()

    def stop(self) -> None:
        self.sender.stop()


@pytest.fixture
def runtime(database_url: str) -> Iterator[EmbeddedRunner]:
    made = sending_runner(database_url, POLICY)
    yield made
    made.engine.dispose()


@pytest.fixture
def ana(runtime: EmbeddedRunner) -> Iterator[Person]:
    made = Person(runtime)
    yield made
    made.stop()


class Order(NamedTuple):
    phone: int
    email: int | None
    prefers: str | None


class Text(NamedTuple):
    words: str
    phone: int


class OptOut(NamedTuple):
    """By an answer of another system."""


numbers = st.integers(1, 3)
steps = st.one_of(
    st.builds(Order, numbers, st.sampled_from((None, 1, 2)), st.sampled_from((None, "email"))),
    st.builds(Text, st.sampled_from(("STOP", "START", "please stop texting me")), numbers),
    st.builds(OptOut),
)


class Rule:
    """What has to hold, by the words of the rule alone: who is stopped, in which step, and from where."""

    def __init__(self) -> None:
        self.stopped_at = self.started_at = -1
        self.hers: set[int] = set()  # the numbers that she has, or that a question went to
        self.others: dict[int, tuple[bool, int]] = {}  # by number that was never hers: the last word from there

    def has_stopped(self) -> bool:
        return self.stopped_at > self.started_at

    def hears(self, stops: bool, step: int) -> None:
        if stops:
            self.stopped_at = step
        else:
            self.started_at = step

    def text(self, one: Text, step: int) -> None:
        stops = one.words != "START"
        if one.phone in self.hers:
            self.hears(stops, step)
        else:
            self.others[one.phone] = stops, step

    def order(self, one: Order, asked: set[int]) -> None:
        self.hers = asked | {one.phone}
        stops, step = self.others.pop(one.phone, (False, -1))
        if stops:
            self.stopped_at = max(self.stopped_at, step)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(6))
@given(story=st.lists(steps, min_size=3, max_size=8))
def test_nothing_goes_to_who_has_stopped_in_whatever_order_it_becomes_known(
    runtime: EmbeddedRunner, story: list[Order | Text | OptOut]
) -> None:
    ana, rule, asked = Person(runtime), Rule(), set[int]()
    try:
        for step, one in enumerate(story):
            before = len(ana.phone.sent)
            match one:
                case Order():
                    rule.order(one, asked)
                    ana.is_named(*one)
                case Text():
                    ana.writes(*one)
                    rule.text(one, step)
                case OptOut() if ana.orders:
                    ana.answers_with_opt_out()
                    rule.hears(True, step)
                case _:
                    continue
            sent = ana.phone.sent[before:]
            assert not (sent and rule.has_stopped()), (step, sent)
            asked |= {which for which in (1, 2, 3) if ana.number(which) in sent}
    finally:
        ana.stop()


def test_a_new_number_and_a_new_address_change_nothing_until_she_starts_again(ana: Person) -> None:
    ana.is_named(1)
    ana.writes("STOP", 1)
    ana.is_named(2)
    ana.is_named(1, 1, "email")
    ana.is_named(3, 2, "email")
    assert ana.phone.sent == [ana.number(1)]
    reasons = {row["reason"] for row in rows(ana.runtime, asks)}
    assert reasons == {None, "opted_out"}
    ana.writes("START", 3)
    ana.is_named(3)
    assert ana.phone.sent == [ana.number(1), ana.number(3)]


def test_a_stop_months_after_the_conversation_is_the_contacts_all_the_same(ana: Person) -> None:
    ana.is_named(1)
    for words in ("1", "9", "no"):
        ana.writes(words, 1)
    ana.minute += 90 * 24 * 60
    ana.writes("STOP", 1)
    ana.is_named(2, 1, "email")
    assert ana.phone.sent == [ana.number(1)]


def test_a_number_that_stopped_before_anybody_had_it_stops_whoever_gets_it(ana: Person) -> None:
    assert "no more messages" in (ana.writes("STOP", 1) or "")
    ana.is_named(1, 1, "email")
    ana.is_named(2)
    assert ana.phone.sent == []


def test_an_opt_out_that_the_provider_reports_is_the_contacts(ana: Person) -> None:
    ana.is_named(1)
    with ana.runtime.engine.begin() as connection:
        outcomes.record_opt_out(connection, AskKey(ana.order_id, "ana", "delivery"), ana.now)
    ana.is_named(2, 1, "email")
    assert ana.phone.sent == [ana.number(1)]


def test_a_question_that_is_due_is_not_sent_to_a_new_number_either(ana: Person) -> None:
    """The order is corrected between the STOP and the moment of sending."""
    account, order_id = {"id": f"A-{ana.n}"}, "SO-due"
    for which in (1, 2):
        person = contact("ana", phone=ana.number(which), consent=BOTH)
        order = completed(order_id, ana.now, f"due:{which}", account=account, contacts=[person])
        ingest(ana.runtime, order, scanned(order_id, ana.now))
        ana.minute += 1
        receive_text(ana.runtime, "STOP", ana.now, ana.number(1))
    ana.dispatch()
    assert ana.phone.sent == []
    assert [row["outcome"] for row in rows(ana.runtime, asks)] == ["opted_out"]


def test_another_contact_of_the_account_is_asked_all_the_same(ana: Person) -> None:
    ana.is_named(1)
    ana.writes("STOP", 1)
    ana.minute += 1
    ben = contact("ben", phone=ana.number(2), consent=BOTH)
    order = completed("SO-ben", ana.now, account={"id": f"A-{ana.n}"}, contacts=[ben])
    ingest(ana.runtime, order, scanned("SO-ben", ana.now))
    ana.dispatch()
    assert ana.phone.sent == [ana.number(1), ana.number(2)]
