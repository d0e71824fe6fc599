"""The states of an ask: their ranks, the lookups of a message of unknown outcome, and the reasons of losses."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.asking.ask_states import LOOK_AFTER, RANK, TERMINAL, AskState, SendOutcome, before, loss, next_look
from pipeline.domain.asking.eligibility import Reason

MINUTE = timedelta(minutes=1)


def follow(current: AskState, new: AskState) -> AskState:
    """The state after a report of `new`."""
    return new if current in before(new) else current


@given(st.lists(st.sampled_from(list(AskState)), max_size=12))
def test_reports_in_any_order_never_lower_the_rank_of_an_ask(reports: Sequence[AskState]) -> None:
    state = AskState.DUE
    for new in reports:
        after = follow(state, new)
        assert RANK[after] >= RANK[state]
        assert after in (state, new)
        assert follow(after, new) == after, "a repeated report changes nothing"
        state = after


def test_expiry_does_not_replace_an_earlier_end() -> None:
    for state in (AskState.UNRESOLVED, AskState.FAILED, AskState.NOT_ASKED, AskState.ANSWERED):
        assert follow(state, AskState.EXPIRED) is state
    assert follow(AskState.DELIVERED, AskState.EXPIRED) is AskState.EXPIRED
    assert before(AskState.ANSWERED) == set(AskState) - {AskState.ANSWERED}, "a late answer still counts"
    assert AskState.DELIVERED not in TERMINAL


def test_a_message_of_unknown_outcome_is_looked_up_at_fixed_times_and_then_given_up() -> None:
    sent = datetime(2026, 3, 2, 9, tzinfo=UTC)
    lookups, now = [], sent
    while (lookup_at := next_look(sent, now)) is not None:
        lookups.append(lookup_at - sent)
        now = lookup_at
    assert lookups == list(LOOK_AFTER)
    assert [lookup_at / MINUTE for lookup_at in lookups] == [1, 5, 15, 60, 240, 1440]
    assert next_look(sent, sent + timedelta(hours=2)) == sent + timedelta(hours=4), "missed lookups are not repeated"


def test_every_end_before_sending_is_a_loss_with_its_reason() -> None:
    assert loss(AskState.NOT_ASKED, SendOutcome.OPTED_OUT) is Reason.OPTED_OUT
    assert loss(AskState.NOT_ASKED, SendOutcome.NO_CHANNEL) is Reason.NO_CHANNEL
    assert loss(AskState.NOT_ASKED, SendOutcome.GIVEN_UP) is Reason.NOT_SENT
