"""Closing a case asks its customer once whether it is settled. The answer confirms or reopens it; no pair changes."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.consumers.cases import acting
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.policy import Policy
from pipeline.domain.cases import lifecycle
from pipeline.domain.cases.case import Case, case_id_of
from pipeline.domain.cases.complaints import CasePolicy
from pipeline.store.orders.timers import TimerStore
from pipeline.store.schema.alerting.cases import case_acts, cases
from pipeline.store.schema.asks import asks
from pipeline.store.schema.journal import dead_letters
from pipeline.store.unit_of_work import UnitOfWork
from tests.support.builders import answered, at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.provider import Provider
from tests.support.requests.conversations import receive_text
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.sending import send_due, sending_runner
from tests.support.stored import counters, published, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
NEVER = datetime.min.replace(tzinfo=UTC)
POLICY = Policy(contact_rest=timedelta(days=7), remind_after=None)
CASE = case_id_of("SO-1", "ana")


@pytest.fixture
def runtime(database_url: str) -> Iterator[EmbeddedRunner]:
    made = sending_runner(database_url, POLICY)
    yield made
    made.engine.dispose()


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with Provider(tmp_path / "posts") as made:
        yield made


def send(runtime: EmbeddedRunner, provider: Provider, days: float) -> None:
    send_due(runtime, provider.url, POLICY, at(days=days))


def complained(runtime: EmbeddedRunner, provider: Provider, **person: Any) -> None:
    """A question by text, and an answer that complains."""
    when = at(hours=2)
    ingest(runtime, completed(time=when, contacts=[contact(**person)]), scanned(time=when), received_at=when)
    send(runtime, provider, 2 / 24)
    assert "look into it" in (receive_text(runtime, "4", at(hours=3)).reply or "")


def act(runtime: EmbeddedRunner, what: str, days: float) -> Case:
    """What a web process does when somebody acts."""
    now = at(days=days)
    decide: Callable[[Case], Any] = {
        "close": lambda case: lifecycle.close(case, "delivered", "it came at last", "ben", now),
        "reopen": lambda case: lifecycle.reopen(case, "not yet", CasePolicy(), "ben", now),
    }[what]
    with runtime.engine.begin() as connection:
        work = UnitOfWork(connection, runtime.store.journal, runtime.setup, TimerStore(connection, (), NEVER))
        found = acting.perform(CASE, decide, VAULT, work, now)
        work.flush()
    assert found is not None
    return found


def follow_up(runtime: EmbeddedRunner) -> str:
    (case,) = rows(runtime, cases)
    return f"{'closed' if case['closed_at'] else 'open'} {case['follow_up']}"


def questions(provider: Provider) -> list[str]:
    return [post["Body"] for post in provider.posts if "settled" in post["Body"]]


def test_the_question_waits_for_the_rest_and_a_yes_confirms(runtime: EmbeddedRunner, provider: Provider) -> None:
    complained(runtime, provider)
    pairs, counted = published(runtime, "fulfilment.compared"), counters(runtime)
    assert act(runtime, "close", 1).follow_up == "waiting"
    send(runtime, provider, 6.5)
    assert (follow_up(runtime), questions(provider)) == ("closed waiting", [])
    send(runtime, provider, 8)
    [question] = questions(provider)
    assert question.startswith("Acme: is the problem with order SO-1 settled? 1 yes 2 no https://")
    assert follow_up(runtime) == "closed asked"

    result = receive_text(runtime, "1", at(days=8.1))
    assert result.reply == "Your supplier: Thank you, it is good to know that it is settled."
    assert follow_up(runtime) == "closed yes"
    assert [row["state"] for row in rows(runtime, asks)] == ["answered", "answered"]
    last = rows(runtime, case_acts)[-1]
    assert (last["by"], last["change"], last["words"]) == ("customer", "confirmed", None)
    assert published(runtime, "fulfilment.compared") == pairs, "no pair changes"
    assert counters(runtime) == counted
    assert receive_text(runtime, "thanks, bye", at(days=8.2)).reply is None
    assert follow_up(runtime) == "closed yes"


def test_a_no_in_the_customers_words_reopens_and_nobody_is_asked_twice(
    runtime: EmbeddedRunner, provider: Provider
) -> None:
    complained(runtime, provider)
    act(runtime, "close", 1)
    send(runtime, provider, 8)
    reply = receive_text(runtime, "Two boxes are still missing", at(days=8.1)).reply
    assert reply == "Your supplier: Thank you. Our team will look into it again."
    assert follow_up(runtime) == "open no"
    last = rows(runtime, case_acts)[-1]
    assert (last["change"], last["words"]) == ("reopened", "Two boxes are still missing")
    (case,) = rows(runtime, cases)
    assert case["due_at"] > at(days=8.1)
    act(runtime, "close", 9)
    send(runtime, provider, 30)
    assert (len(questions(provider)), follow_up(runtime)) == (1, "closed no")


def test_who_opted_out_or_is_not_named_any_more_is_not_asked(runtime: EmbeddedRunner, provider: Provider) -> None:
    complained(runtime, provider)
    receive_text(runtime, "STOP", at(hours=4))
    act(runtime, "close", 1)
    send(runtime, provider, 8)
    assert (follow_up(runtime), questions(provider)) == ("closed not_asked", [])
    decided = [row["reason"] for row in rows(runtime, asks) if row["purpose"] == "settled"]
    assert decided == ["opted_out"]


def test_a_case_that_is_reopened_before_the_question_asks_after_the_next_closing(
    runtime: EmbeddedRunner, provider: Provider
) -> None:
    complained(runtime, provider)
    act(runtime, "close", 1)
    act(runtime, "reopen", 2)
    send(runtime, provider, 8)
    assert (follow_up(runtime), questions(provider)) == ("open None", [])
    act(runtime, "close", 9)
    runtime.tick(at(days=9))
    assert follow_up(runtime) == "closed due"
    act(runtime, "reopen", 9.01)
    send(runtime, provider, 9.02)
    assert (follow_up(runtime), questions(provider)) == ("open None", [])
    act(runtime, "close", 9.1)
    send(runtime, provider, 9.2)
    send(runtime, provider, 9.3)
    assert len(questions(provider)) == 1
    assert follow_up(runtime) == "closed asked"


def test_answers_come_twice_and_in_any_order(runtime: EmbeddedRunner, provider: Provider) -> None:
    complained(runtime, provider)
    act(runtime, "close", 1)
    no = answered(time=at(days=9), settled=False, event_id="no")
    yes = answered(time=at(days=10), settled=True, event_id="yes")
    ingest(runtime, yes, no, yes, received_at=at(days=11))
    assert follow_up(runtime) == "closed yes"
    assert [row["change"] for row in rows(runtime, case_acts)][-1] == "confirmed"


def test_an_answer_to_no_case_is_a_dead_letter_with_its_field(runtime: EmbeddedRunner, provider: Provider) -> None:
    ingest(runtime, completed(), answered(settled=True), received_at=at(hours=1))
    assert [row["field"] for row in rows(runtime, dead_letters)] == ["data.settled"]
