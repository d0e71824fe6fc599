"""What one order says about silence: who was asked, whom a message reached, who answered."""

import pytest

from pipeline.domain.answers.answer import Answer
from pipeline.domain.asking.eligibility import Reason
from pipeline.domain.orders.claims import NO_CLAIM
from pipeline.domain.orders.dialogue import Ask, Dialogue, Due, Refusal
from pipeline.domain.reports.silences import Message, silences, undelivered
from tests.support.builders import at

ARRIVED = Message("sms FR", arrived=True, refused=False, reports=True)
NOT_REPORTED = Message("sms FR", arrived=False, refused=False, reports=True)
FAILED = Message("email FR", arrived=False, refused=True, reports=False)
OF_ANOTHER_SYSTEM = Message("", arrived=False, refused=False, reports=False)


def asked() -> Dialogue:
    return Dialogue(asks=[Ask("ana", "delivery", at(), NO_CLAIM)])


@pytest.mark.parametrize(
    ("reasons", "x"),
    [
        ([Reason.NO_REACHABLE_CONTACT], 1.0),
        ([Reason.NO_CONSENT, Reason.WRONG_ROLE], 1.0),
        ([Reason.OPTED_OUT], 1.0),
        ([Reason.ASKED_RECENTLY], None),
        ([Reason.NO_CONSENT, Reason.ACCOUNT_CAP], None),
        ([Reason.NOT_SENT], None),
        ([Reason.CANCELLED], None),
        ([], None),
    ],
)
def test_an_order_is_unasked_if_its_contacts_are_the_reason(reasons: list[Reason], x: float | None) -> None:
    refusals = [Refusal(f"C-{n}", "delivery", str(reason)) for n, reason in enumerate(reasons)]
    assert silences(Dialogue(refusals=refusals), []).get("unasked") == x


def test_a_question_that_is_sent_or_will_be_is_no_silence() -> None:
    due = Dialogue(due=[Due("ana", "delivery")], refusals=[Refusal("bob", "delivery", str(Reason.NO_CONSENT))])
    assert silences(due, []) == {"unasked": 0.0}
    assert silences(asked(), []) == {"unasked": 0.0}


@pytest.mark.parametrize(
    ("messages", "x"),
    [
        ([ARRIVED], 1.0),
        ([OF_ANOTHER_SYSTEM], 1.0),
        ([NOT_REPORTED], None),
        ([FAILED], None),
        ([FAILED, ARRIVED], 1.0),
        ([], None),
    ],
)
def test_only_whom_a_message_reached_can_be_silent(messages: list[Message], x: float | None) -> None:
    assert silences(asked(), messages).get("unanswered") == x


def test_an_answer_counts_however_it_came() -> None:
    dialogue = asked()
    dialogue.answers.append(Answer("ana", "form", "1", at(), "on_time", None, None, [], None, False))
    assert silences(dialogue, [NOT_REPORTED])["unanswered"] == 0.0


def test_the_messages_of_an_order_count_by_their_route() -> None:
    assert undelivered([ARRIVED, NOT_REPORTED, FAILED]) == {"sms FR": 0.5, "email FR": 1.0}
    assert undelivered([OF_ANOTHER_SYSTEM]) == {}, "another system reports nothing"
