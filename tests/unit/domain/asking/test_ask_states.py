"""The life of an ask: ranks, quiet hours in every zone and on days when the clocks change, due times and looks."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.domain.asking.ask_states import LOOK_AFTER, RANK, TERMINAL, AskState, SendOutcome, before, loss, next_look
from pipeline.domain.asking.channels import MAX_QUEUE_TIME, SMS, Channel
from pipeline.domain.asking.eligibility import Reason
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import (
    MIN_VALIDITY,
    due_at,
    open_from,
    parse_hours,
    quiet,
    validity,
    zones_of,
)
from pipeline.domain.asking.send_decision import End, Go, SendEligibility, Wait, before_sending
from pipeline.domain.events.contract import Consent, Contact


MINUTE = timedelta(minutes=1)


def follow(current: AskState, new: AskState) -> AskState:
    """The state after hearing `new`."""
    return new if current in before(new) else current


@given(st.lists(st.sampled_from(list(AskState)), max_size=12))
def test_no_news_in_whatever_order_takes_an_ask_back(news: Sequence[AskState]) -> None:
    state = AskState.DUE
    for said in news:
        after = follow(state, said)
        assert RANK[after] >= RANK[state]
        assert after in (state, said)
        assert follow(after, said) == after, "said twice, it counts once"
        state = after


def test_expiry_hides_no_earlier_end() -> None:
    for state in (AskState.UNRESOLVED, AskState.FAILED, AskState.NOT_ASKED, AskState.ANSWERED):
        assert follow(state, AskState.EXPIRED) is state
    assert follow(AskState.DELIVERED, AskState.EXPIRED) is AskState.EXPIRED
    assert before(AskState.ANSWERED) == set(AskState) - {AskState.ANSWERED}, "a late answer still counts"
    assert AskState.DELIVERED not in TERMINAL


def test_a_message_of_unknown_outcome_is_looked_for_at_the_stated_times_and_then_given_up() -> None:
    sent = datetime(2026, 3, 2, 9, tzinfo=UTC)
    looks, now = [], sent
    while (look := next_look(sent, now)) is not None:
        looks.append(look - sent)
        now = look
    assert looks == list(LOOK_AFTER)
    assert [look / MINUTE for look in looks] == [1, 5, 15, 60, 240, 1440]
    assert next_look(sent, sent + timedelta(hours=2)) == sent + timedelta(hours=4), "looks missed are not made up for"


def test_every_end_before_sending_is_a_loss_with_its_reason() -> None:
    assert loss(AskState.NOT_ASKED, SendOutcome.OPTED_OUT) is Reason.OPTED_OUT
    assert loss(AskState.NOT_ASKED, SendOutcome.NO_CHANNEL) is Reason.NO_CHANNEL
    assert loss(AskState.NOT_ASKED, SendOutcome.GIVEN_UP) is Reason.NOT_SENT
