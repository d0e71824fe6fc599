"""Handles one text: finds the question that it answers, records what it states, and says what is replied.

Every effect of a text is written in one transaction with it: the opt-out, the answer in the journal, the next question.
So a text that is stored has had its effect, and a text that comes twice has it once. A text that becomes known late is
read against the question that was open when it was written; what was said after it counts more.
"""

from collections.abc import Collection
from datetime import datetime

import msgspec
from sqlalchemy import Connection

from pipeline.consumers.conversation.after_the_answer import answer_if_settled, write_back
from pipeline.consumers.conversation.answering import answer
from pipeline.consumers.conversation.matching import MatchingQuestion, key_of, matching_question, spoken_to_last
from pipeline.consumers.conversation.texts import ALREADY_HANDLED, Inbound, ReplyResult, event_id_of
from pipeline.consumers.inbox import unread_texts
from pipeline.domain.answers.replies import Control, ParsedReply, Reader
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.events.contract import SETTLED
from pipeline.notifiers.port import InboundText
from pipeline.notifiers.wording import reply_texts
from pipeline.notifiers.wording.languages import SOURCE_LANGUAGE
from pipeline.notifiers.wording.reply_texts import SUPPLIER, Speaker
from pipeline.store.asks import conversations, inbound_messages
from pipeline.store.asks.conversations import TEXT_SOURCE
from pipeline.store.orders.orders import language_and_timezone
from pipeline.store.people import contact_opt_outs, keys, opt_outs, undeliverable
from pipeline.store.people.contact_opt_outs import UNMATCHED
from pipeline.store.people.opt_outs import OptChange
from pipeline.store.people.vault import SealingKey
from pipeline.store.store import Store


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
    question = matching_question(connection, text)
    key = key_of(connection, store, text, question)
    if not _store(connection, text, key):
        return ALREADY_HANDLED
    parsed = reader.read(text.text, "arrival", None)
    control = text.provider_action or parsed.control
    if question is None:
        result = _handle_stranger(connection, text, parsed, speaker)
    elif question.asked.purpose == SETTLED and question.asked.state != AskState.ANSWERED and control is None:
        result = answer_if_settled(connection, store, text, question, parsed, now, speaker)
    elif question.responded:
        result = write_back(connection, store, text, question, reader, now, speaker)
    else:
        result = answer(connection, store, text, question, reader, now, speaker)
    if _is_silenced(connection, text, control, question):
        result = result._replace(reply=None)
    # Last: the runner locks the journal's head before it writes opt-outs, and so does this transaction.
    if not _apply_control(connection, text, control) and result.reply is not None:
        result = result._replace(reply=_translated(connection, reply_texts.STOPPED, question, speaker))
    if not text.answerable:
        result = result._replace(reply=None)
    inbound_messages.set_outcome(connection, text.source, text.message_id, **_outcome(connection, result, question))
    return result


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
    addresses, last = {text.sender, *text.same_phone}, spoken_to_last(connection, text)
    change = OptChange(text.sender, TEXT_SOURCE, event_id_of(text), control == "stop", text.received_at)
    if last is None:
        change = change._replace(source=UNMATCHED)
        contact_opt_outs.record_unmatched(connection, [change._replace(digest=one) for one in addresses])
    else:
        addresses |= conversations.addresses_of(connection, last)
        contact_opt_outs.record(connection, (last.account_id, last.contact_id), change, addresses)
    return control == "stop" or not opt_outs.opted_out(connection, [text.sender])


def correct_times(connection: Connection, texts: Collection[InboundText]) -> None:
    """Order the STOPs and STARTs that webhooks brought by the times that the provider's list states."""
    times = {event_id_of(text): text.received_at for text in texts}
    for source in (TEXT_SOURCE, UNMATCHED):
        opt_outs.correct_times(connection, source, times)
    contact_opt_outs.correct_times(connection, times, TEXT_SOURCE, UNMATCHED)


def _handle_stranger(connection: Connection, text: Inbound, parsed: ParsedReply, speaker: Speaker) -> ReplyResult:
    """A text to no question of ours: it is quarantined for a person to read. Control words still count."""
    control = text.provider_action or parsed.control
    if control is None:
        unread_texts.leave_stranger_to_person(connection, TEXT_SOURCE, event_id_of(text), text, parsed)
    if control is None or text.provider_action is not None:
        return ReplyResult(True, "quarantined")
    return ReplyResult(True, "quarantined", speaker.say(reply_texts.CONTROL_REPLIES[control], SOURCE_LANGUAGE))


def _translated(connection: Connection, reply: str, question: MatchingQuestion | None, speaker: Speaker) -> str:
    if question is None:
        return speaker.say(reply, SOURCE_LANGUAGE)
    language, _ = language_and_timezone(connection, question.asked.order_id, question.asked.contact_id)
    return speaker.say(reply, language)
