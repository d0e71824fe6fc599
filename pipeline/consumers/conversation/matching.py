"""Which question a text answers: that of the conversation in which we last spoke to its sender."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from pipeline.consumers.conversation.texts import Inbound
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.events.contract import RESPONSE, SETTLED
from pipeline.store.asks import conversations
from pipeline.store.asks.conversations import DONE, AskedQuestion, Course
from pipeline.store.people import keys
from pipeline.store.people.keys import Owner
from pipeline.store.people.vault import SealingKey
from pipeline.store.store import Store

_CORRECTED_FOR = timedelta(days=14)  # how long after its last text a finished conversation may be corrected


class MatchingQuestion(NamedTuple):
    """The question that a text answers.

    `open_then`: what was open in its conversation when the text was written, if the conversation went on after that.
    `responded`: whether a fixed response had gone to the contact since that question, on whatever channel.
    """

    asked: AskedQuestion
    open_then: str | None
    responded: bool = False

    @property
    def answerer(self) -> Owner:
        """Whose words the text is."""
        return keys.contact(self.asked.account_id, self.asked.order_id, self.asked.contact_id)


def matching_question(connection: Connection, text: Inbound) -> MatchingQuestion | None:
    """The question that a text answers: that of the conversation in which we last spoke to the address.

    None: there was none, or that conversation ended long ago, so the text answers nothing. Questions asked after the
    text was written come last; but the exact time of a question is not always known.
    """
    found = _questions_to(connection, text)
    course, at = Course(connection, found), text.received_at
    is_late = not text.answerable  # otherwise it is being received now, whatever the clocks say
    best = _last_of(found, course, at)
    if best is None:
        return None
    best = _asked_meanwhile(found, best, at)
    open_then = course.open_at(best, at) if is_late else course.open_now(best)
    if open_then == DONE and at - course.spoke_last_at(best, at) > _CORRECTED_FOR:
        return None
    went_on = is_late and course.went_on_after(best, at)
    responded = conversations.was_responded_to(connection, best, at)
    return MatchingQuestion(best, course.open_at(best, at) if went_on else None, responded)


def spoken_to_last(connection: Connection, text: Inbound) -> AskedQuestion | None:
    """The question that we last spoke about to the sender; None: nothing went there."""
    found = _questions_to(connection, text)
    return _last_of(found, Course(connection, found), text.received_at)


def _asked_meanwhile(found: Sequence[AskedQuestion], best: AskedQuestion, at: datetime) -> AskedQuestion:
    """A response asks nothing: whether it is settled, if that was asked and is still open, is what a text answers."""
    if best.purpose != RESPONSE:
        return best
    key = best.order_id, best.contact_id, SETTLED
    still_open = (one for one in found if (one.order_id, one.contact_id, one.purpose) == key and one.asked_at <= at)
    return next((one for one in still_open if one.state != AskState.ANSWERED), best)


def _questions_to(connection: Connection, text: Inbound) -> list[AskedQuestion]:
    """The questions that went to the sender's phone, in whichever spelling of its number, newest first."""
    spellings = () if text.sender is None else (text.sender, *text.same_phone)
    found = (conversations.asked_questions(connection, spelling) for spelling in spellings)
    return next(filter(None, found), [])


def _last_of(found: Sequence[AskedQuestion], course: Course, at: datetime) -> AskedQuestion | None:
    """The question of the conversation in which we spoke last up to that time; else the newest; None: there is none."""
    earlier = [asked for asked in found if asked.asked_at <= at]
    return max(earlier, key=lambda asked: course.spoke_last_at(asked, at), default=next(iter(found), None))


def key_of(connection: Connection, store: Store, text: Inbound, question: MatchingQuestion | None) -> SealingKey:
    """The key of whoever wrote a text: of the contact who was asked, else of the address."""
    owner = Owner("address", text.sender or "") if question is None else question.answerer
    return keys.keys_for(connection, store.vault, [owner])[owner]
