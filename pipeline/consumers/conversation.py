"""The conversation by text: first the arrival, then a score, then a comment. A text results in events and a reply.

Every effect of a text is written in one transaction with it: the opt-out, the answer in the journal, the next question.
So a text that is stored has had its effect, and a text that comes twice has it once. A text that becomes known late is
read against the question that was open when it was written; what was said after it counts more.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec
from msgspec import structs
from sqlalchemy import Connection

from pipeline.consumers import intake
from pipeline.consumers.cases import following_up
from pipeline.consumers.inbox import unread_texts
from pipeline.consumers.inbox.next_questions import MAX_REPEATS, next_after, next_after_late
from pipeline.consumers.intake import Incoming
from pipeline.domain.access.principal import SYSTEM
from pipeline.domain.answers.parsed_reply import printable_part, stated_by, with_pictures
from pipeline.domain.answers.reading.requests import request_of
from pipeline.domain.answers.replies import Control, ParsedReply, Question, Reader
from pipeline.domain.answers.statement import Statement
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.asking.channels import Channel
from pipeline.domain.events.cloudevents import envelope
from pipeline.domain.events.contract import SETTLED, Request
from pipeline.notifiers.port import InboundText
from pipeline.notifiers.wording import reply_texts
from pipeline.notifiers.wording.languages import SOURCE_LANGUAGE
from pipeline.notifiers.wording.reply_texts import SUPPLIER, Speaker
from pipeline.store.asks import conversations, inbound_messages
from pipeline.store.asks.conversations import DONE, AskedQuestion, Conversation, Course
from pipeline.store.asks.outcomes import end_follow_up
from pipeline.store.orders.orders import language_and_timezone
from pipeline.store.people import contact_opt_outs, keys, opt_outs, undeliverable
from pipeline.store.people.contact_opt_outs import UNMATCHED
from pipeline.store.people.keys import Owner
from pipeline.store.people.opt_outs import OptChange
from pipeline.store.people.vault import SealingKey
from pipeline.store.reads.answers import current_answer, opened_current
from pipeline.store.store import Store

EVENT_SOURCE = conversations.TEXT_SOURCE
_CORRECTED_FOR = timedelta(days=14)  # how long after its last text a finished conversation may be corrected

ReplyOutcome = Literal["answered", "unclear", "control", "ignored", "quarantined"]


class Inbound(NamedTuple):
    """An inbound text as a conversation handles it. `sender` is the digest of its address: a hint, not an identity."""

    source: str  # name of the provider, or of the page, that the text came from
    message_id: str
    sender: str | None  # None: not an address that can be written to
    text: str
    received_at: datetime
    provider_action: Control | None = None  # what the provider did about the text itself, its reply included
    answerable: bool = True  # False: the text was acknowledged before it was handled, so no reply can go with it
    channel: str = "sms"
    same_phone: tuple[str, ...] = ()  # digests of other spellings of the sender's number
    media: tuple[str, ...] = ()  # where the pictures that came with the text are at the provider


class MatchingQuestion(NamedTuple):
    """The question that a text answers.

    `open_then`: what was open in its conversation when the text was written, if the conversation went on after that.
    """

    asked: AskedQuestion
    open_then: str | None

    @property
    def answerer(self) -> Owner:
        """Whose words the text is."""
        return keys.contact(self.asked.account_id, self.asked.order_id, self.asked.contact_id)


class ReplyResult(NamedTuple):
    """The result of a text. `new` False: the text was handled before, and nothing was done.

    `events` are stored in the journal; the caller passes them to the runner, so that they are processed at once.
    """

    new: bool
    outcome: ReplyOutcome | None = None
    reply: str | None = None
    events: Sequence[Incoming] = ()


ALREADY_HANDLED = ReplyResult(False)


def inbound(store: Store, channel: Channel, text: InboundText, answerable: bool = True) -> Inbound:
    """An inbound text of a channel, its sender replaced by the digest of the address."""
    return Inbound(
        source=text.source,
        message_id=text.message_id,
        sender=store.vault.digest(channel.address_kind, text.sender),
        text=text.text,
        received_at=text.received_at,
        provider_action=text.provider_action,
        answerable=answerable,
        channel=channel.name,
        same_phone=store.vault.other_digests(channel.address_kind, text.sender),
        media=text.media,
    )


def handle_text(
    connection: Connection,
    store: Store,
    text: Inbound,
    reader: Reader,
    now: datetime,
    speaker: Speaker = SUPPLIER,
) -> ReplyResult:
    """Handle one text in the caller's transaction. Its answer counts even if the question has expired."""
    keys.begin_sealing(connection)
    question = _matching_question(connection, text)
    key = _key(connection, store, text, question)
    if not _store(connection, text, key):
        return ALREADY_HANDLED
    parsed = reader.read(text.text, "arrival", None)
    control = text.provider_action or parsed.control
    if question is None:
        result = _handle_stranger(connection, text, parsed, speaker)
    elif question.asked.purpose == SETTLED and question.asked.state != AskState.ANSWERED and control is None:
        result = _answer_if_settled(connection, store, text, question, parsed, now, speaker)
    else:
        result = _answer(connection, store, text, question, reader, now, speaker)
    if _is_silenced(connection, text, control, question):
        result = result._replace(reply=None)
    # Last: the runner locks the journal's head before it writes opt-outs, and so does this transaction.
    if not _apply_control(connection, text, control) and result.reply is not None:
        result = result._replace(reply=_translated(connection, reply_texts.STOPPED, question, speaker))
    if not text.answerable:
        result = result._replace(reply=None)
    inbound_messages.set_outcome(connection, text.source, text.message_id, **_outcome(connection, result, question))
    return result


def _key(connection: Connection, store: Store, text: Inbound, question: MatchingQuestion | None) -> SealingKey:
    """The key of whoever wrote a text: of the contact who was asked, else of the address."""
    owner = Owner("address", text.sender or "") if question is None else question.answerer
    return keys.keys_for(connection, store.vault, [owner])[owner]


def _store(connection: Connection, text: Inbound, key: SealingKey) -> bool:
    """Store a text, sealed. False: it is stored already."""
    row = {
        "source": text.source,
        "message_id": text.message_id,
        "received_at": text.received_at,
        "sender": text.sender,
        "text": key.seal(text.text).encode(),
        "outcome": "quarantined",
        "media": key.seal(msgspec.json.encode(text.media).decode()).encode() if text.media else None,
    }
    return inbound_messages.store_text(connection, row)


def _outcome(connection: Connection, result: ReplyResult, question: MatchingQuestion | None) -> dict[str, str | None]:
    """The columns of an inbound text that its handling fills in."""
    columns: dict[str, str | None] = {"outcome": result.outcome, "reply": result.reply}
    if question is None:
        return columns
    order_id, contact_id = question.asked.order_id, question.asked.contact_id
    open_now = conversations.open_question(connection, order_id, contact_id)
    return columns | {"order_id": order_id, "contact_id": contact_id, "next_question": open_now}


def _is_silenced(
    connection: Connection, text: Inbound, control: Control | None, question: MatchingQuestion | None
) -> bool:
    """Whether nothing may be sent back: the sender opted out before, and does not ask for help or for a new start.

    A STOP from an address that cannot be recorded is not confirmed either.
    """
    if text.sender is None:
        return control in ("stop", "start")
    if control in ("start", "help"):
        return False
    contact = [] if question is None else [(question.asked.account_id, question.asked.contact_id)]
    return bool(
        opt_outs.opted_out(connection, [text.sender, *text.same_phone])
        or contact_opt_outs.opted_out(connection, contact)
    )


def _apply_control(connection: Connection, text: Inbound, control: Control | None) -> bool:
    """Record a STOP or a START of the sender, and of the contact whom we asked there last, however long ago.

    Where nobody was asked, it concerns everybody who has the address. False: a START without effect, because a STOP is
    newer or of the same second.
    """
    if text.sender is None:
        return True
    undeliverable.reached(connection, text.sender, text.received_at)
    if control not in ("stop", "start"):
        return True
    addresses, last = {text.sender, *text.same_phone}, _spoken_to_last(connection, text)
    change = OptChange(text.sender, EVENT_SOURCE, _event_id(text), control == "stop", text.received_at)
    if last is None:
        change = change._replace(source=UNMATCHED)
        contact_opt_outs.record_unmatched(connection, [change._replace(digest=one) for one in addresses])
    else:
        addresses |= conversations.addresses_of(connection, last)
        contact_opt_outs.record(connection, (last.account_id, last.contact_id), change, addresses)
    return control == "stop" or not opt_outs.opted_out(connection, [text.sender])


def correct_times(connection: Connection, texts: Collection[InboundText]) -> None:
    """Order the STOPs and STARTs that webhooks brought by the times that the provider's list states."""
    times = {_event_id(text): text.received_at for text in texts}
    for source in (EVENT_SOURCE, UNMATCHED):
        opt_outs.correct_times(connection, source, times)
    contact_opt_outs.correct_times(connection, times, EVENT_SOURCE, UNMATCHED)


def _matching_question(connection: Connection, text: Inbound) -> MatchingQuestion | None:
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
    open_then = course.open_at(best, at) if is_late else course.open_now(best)
    if open_then == DONE and at - course.spoke_last_at(best, at) > _CORRECTED_FOR:
        return None
    went_on = is_late and course.went_on_after(best, at)
    return MatchingQuestion(best, course.open_at(best, at) if went_on else None)


def _questions_to(connection: Connection, text: Inbound) -> list[AskedQuestion]:
    """The questions that went to the sender's phone, in whichever spelling of its number, newest first."""
    spellings = () if text.sender is None else (text.sender, *text.same_phone)
    found = (conversations.asked_questions(connection, spelling) for spelling in spellings)
    return next(filter(None, found), [])


def _last_of(found: Sequence[AskedQuestion], course: Course, at: datetime) -> AskedQuestion | None:
    """The question of the conversation in which we spoke last up to that time; else the newest; None: there is none."""
    earlier = [asked for asked in found if asked.asked_at <= at]
    return max(earlier, key=lambda asked: course.spoke_last_at(asked, at), default=next(iter(found), None))


def _spoken_to_last(connection: Connection, text: Inbound) -> AskedQuestion | None:
    """The question that we last spoke about to the sender; None: nothing went there."""
    found = _questions_to(connection, text)
    return _last_of(found, Course(connection, found), text.received_at)


def _handle_stranger(connection: Connection, text: Inbound, parsed: ParsedReply, speaker: Speaker) -> ReplyResult:
    """A text to no question of ours: it is quarantined for a person to read. Control words still count."""
    control = text.provider_action or parsed.control
    if control is None:
        unread_texts.leave_stranger_to_person(connection, EVENT_SOURCE, _event_id(text), text, parsed)
    if control is None or text.provider_action is not None:
        return ReplyResult(True, "quarantined")
    return ReplyResult(True, "quarantined", speaker.say(reply_texts.CONTROL_REPLIES[control], SOURCE_LANGUAGE))


def _answer(
    connection: Connection,
    store: Store,
    text: Inbound,
    question: MatchingQuestion,
    reader: Reader,
    now: datetime,
    speaker: Speaker,
) -> ReplyResult:
    asked = question.asked
    before = _resume(connection, store, asked, now)
    language, _ = language_and_timezone(connection, asked.order_id, asked.contact_id)
    open_then = question.open_then or before.question
    parsed = reader.read(text.text, _question_answered(open_then), language)
    control = text.provider_action or parsed.control
    if control is None and parsed.automatic and not text.media:
        return ReplyResult(True, "ignored")
    if text.media:
        parsed = with_pictures(parsed, len(text.media))
    elif parsed.unclear and (before.question == DONE or before.tries >= MAX_REPEATS):
        parsed = structs.replace(
            parsed, comment=printable_part(text.text) or None
        )  # it is not asked again: a person reads it
    stated, answered_at = stated_by(parsed, before.statement.comment), text.received_at
    if question.open_then is None:
        statement = before.statement.amended_by(stated)
        after, reply = next_after(before, statement, parsed, now)
    else:
        statement = structs.replace(stated.amended_by(before.statement), comment=stated.comment)
        after, reply = next_after_late(before, statement, now), None
        added_comment = stated.comment != before.statement.comment
        answered_at = _time_of_late(connection, text, asked, added_comment=added_comment)
    if text.media and not text.text.strip() and question.open_then is None:
        after, reply = before._replace(statement=statement, changed_at=now), reply_texts.PICTURE
    if control is not None:
        # A person who wants help or silence gets no further question; what else the text states still counts.
        after = before._replace(statement=statement, changed_at=now)
        reply = reply_texts.CONTROL_REPLIES[control]
    conversations.save(connection, _key(connection, store, text, question), asked.order_id, asked.contact_id, after)
    unread_texts.leave_to_person(
        connection, EVENT_SOURCE, _event_id(text), text, asked, before, statement, parsed, control
    )
    given = statement
    if parsed.unclear and control is None and stated.comment is None:
        # It is asked again, and is a reply all the same: its words count as one that nobody has understood.
        given = structs.replace(statement, comment=printable_part(text.text) or None)
    wish = None if control is not None else request_of(text.text)
    if (
        wish is not None
        and reply in (None, reply_texts.DONE, reply_texts.READ_BY_PERSON)
        and question.open_then is None
    ):
        reply = reply_texts.DONE_AFTER_PROBLEM  # it opens a case
    events = [_event(text, asked, given, answered_at, now, wish)] if given != before.statement else []
    intake.ingest(connection, store, events, now)
    outcome: ReplyOutcome = "control" if control else "unclear" if parsed.unclear else "answered"
    if reply is None or text.provider_action is not None:
        return ReplyResult(True, outcome, None, events)
    return ReplyResult(True, outcome, speaker.say(reply, language), events)


def _answer_if_settled(
    connection: Connection,
    store: Store,
    text: Inbound,
    question: MatchingQuestion,
    parsed: ParsedReply,
    now: datetime,
    speaker: Speaker,
) -> ReplyResult:
    """The answer to the question whether a case is settled. It states nothing about the delivery.

    What the conversation about the delivery had left open is not asked any more.
    """
    asked = question.asked
    language, _ = language_and_timezone(connection, asked.order_id, asked.contact_id)
    said = following_up.read_reply(text.text, parsed, language)
    if said is None:
        return ReplyResult(True, "ignored")
    data = following_up.answer_data(asked.order_id, asked.contact_id, text.channel, text.received_at, said)
    raw = envelope(EVENT_SOURCE, _event_id(text), "feedback.received", text.received_at, data)
    events = [Incoming(raw, "feedback", _event_id(text), None, now)]
    intake.ingest(connection, store, events, now)
    ended = conversations.load(connection, store.vault, asked.order_id, asked.contact_id, now)._replace(question=DONE)
    conversations.save(connection, _key(connection, store, text, question), asked.order_id, asked.contact_id, ended)
    end_follow_up(connection, asked.order_id, asked.contact_id)
    reply = reply_texts.SETTLED if said.settled else reply_texts.NOT_SETTLED
    return ReplyResult(True, "answered", speaker.say(reply, language), events)


def _resume(connection: Connection, store: Store, asked: AskedQuestion, now: datetime) -> Conversation:
    """The conversation so far. If the person has answered by the form meanwhile, no question is left."""
    conversation = conversations.load(connection, store.vault, asked.order_id, asked.contact_id, now)
    current = current_answer(connection, SYSTEM, asked.order_id, asked.contact_id)
    current = opened_current(connection, store.vault, current)
    if current is None:
        return conversation
    if conversation.statement == Statement() and current.source != EVENT_SOURCE:
        return conversation._replace(statement=current.statement, question=DONE)
    if current.answered_at is not None and current.answered_at > conversation.changed_at:
        return conversation._replace(statement=current.statement)
    return conversation


def _question_answered(question: str) -> Question:
    """The kind of question that a text answers; after the last one every text is a comment."""
    return "arrival" if question == "arrival" else "score" if question == "score" else "comment"


def _time_of_late(connection: Connection, text: Inbound, asked: AskedQuestion, added_comment: bool) -> datetime:
    """The time of the answer by a text that became known late: when it was written.

    Its words join those of the answer that is current by now, so with words it becomes the current one.
    """
    current = current_answer(connection, SYSTEM, asked.order_id, asked.contact_id) if added_comment else None
    if current is None or current.statement.comment is None or current.answered_at is None:
        return text.received_at
    return max(text.received_at, current.answered_at + timedelta(microseconds=1))


def _event(
    text: Inbound,
    asked: AskedQuestion,
    statement: Statement,
    answered_at: datetime,
    now: datetime,
    request: Request | None = None,
) -> Incoming:
    """The whole answer as of this text. Each event replaces the answer before it; the journal keeps both."""
    event_id = _event_id(text)
    data = {
        "order_id": asked.order_id,
        "contact_id": asked.contact_id,
        "channel": text.channel,
        "answered_at": answered_at,
        "arrived_at": statement.arrived_at,
        "arrival": statement.arrival,
        "complete": statement.complete,
        "condition": statement.conditions,
        "score": statement.score,
        "comment": statement.comment,
        "request": request,
    }
    raw = envelope(EVENT_SOURCE, event_id, "feedback.received", text.received_at, data)
    return Incoming(raw, "feedback", event_id, None, now)


def _event_id(text: Inbound | InboundText) -> str:
    return f"{text.source}:{text.message_id}"


def _translated(connection: Connection, reply: str, question: MatchingQuestion | None, speaker: Speaker) -> str:
    if question is None:
        return speaker.say(reply, SOURCE_LANGUAGE)
    language, _ = language_and_timezone(connection, question.asked.order_id, question.asked.contact_id)
    return speaker.say(reply, language)
