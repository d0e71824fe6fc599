"""What happens when a question was sent, and when it is answered."""

from datetime import datetime
from typing import Any

from pipeline.consumers import asking, comparing
from pipeline.consumers.cases import following_up, opening
from pipeline.consumers.inbox import responding
from pipeline.domain.answers.answer import answered_at
from pipeline.domain.answers.review import NOTHING_STATED, InboxReason
from pipeline.domain.answers.statement import Statement
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.events.contract import (
    OWN_SOURCE,
    QR,
    RESPONSE,
    SETTLED,
    AnswerRef,
    BadEvent,
    Event,
    FeedbackCorrected,
    FeedbackReceived,
    FeedbackRequested,
)
from pipeline.domain.orders.dialogue import Ask
from pipeline.domain.orders.facts import contact_of
from pipeline.domain.orders.order import Order
from pipeline.store.asks.conversations import TEXT_SOURCE
from pipeline.store.asks.inbox import Clarified, item_id_of, item_row
from pipeline.store.unit_of_work import UnitOfWork


def requested(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`feedback.requested`: a question was sent.

    By another system: it is stored with the current claim. By us: the dispatcher stored the claim of the moment when it
    committed to send, and that claim counts. In an installation that sends nothing, our own are known already.
    """
    data: FeedbackRequested = event.data
    if data.purpose == SETTLED:
        following_up.requested(event, work)
        return
    if data.purpose == RESPONSE:
        responding.requested(event)
        return
    order = work.orders.get(data.order_id)
    if order.dialogue.asked(data.contact_id, data.purpose):
        return
    if event.source == OWN_SOURCE:
        _sent_by_us(event, order, work)
    elif not order.dialogue.is_due(data.contact_id, data.purpose):
        _sent_by_others(event, order, work)
    else:  # our own question is about to be sent
        return
    if any(answer.contact_id == data.contact_id for answer in order.dialogue.answers):
        asking.close_asks(order, data.contact_id, work)
        comparing.compare(order, work, now)
    else:
        asking.schedule_expiry(data.order_id, data.contact_id, data.purpose, work, event.time)
    comparing.observe_signs(order, work, now)


def _sent_by_us(event: Event, order: Order, work: UnitOfWork) -> None:
    data: FeedbackRequested = event.data
    status = work.asks.status_of(data.order_id, data.contact_id, data.purpose)
    if status is None or status.sent_on is None:
        raise BadEvent("no question of this installation belongs to this; another system used its source", "source")
    sending_at, claim = status.sent_on
    order.dialogue.add_ask(Ask(data.contact_id, data.purpose, sending_at, claim))
    if data.purpose != "reminder":
        asking.schedule_reminder(data.order_id, data.contact_id, work, sending_at)


def _sent_by_others(event: Event, order: Order, work: UnitOfWork) -> None:
    data: FeedbackRequested = event.data
    dialogue = order.dialogue
    refused = dialogue.refused(data.contact_id, data.purpose)
    dialogue.add_ask(Ask(data.contact_id, data.purpose, event.time, dialogue.claim))
    if refused:  # our own decision stays recorded
        return
    answered = any(answer.contact_id == data.contact_id for answer in dialogue.answers)
    contact, channel = contact_of(order.facts, data.contact_id), work.setup.policy.channel(data.channel)
    work.asks.add(
        {
            "order_id": data.order_id,
            "contact_id": data.contact_id,
            "purpose": data.purpose,
            "account_id": data.account_id or (order.facts.latest.account.id if order.facts.known else ""),
            "decided_at": event.time,
            "reason": None,
            "channel": data.channel,
            "state": AskState.ANSWERED if answered else AskState.SENT,
            "address": None if contact is None or channel is None else channel.address(contact),
            "role": data.role if contact is None else contact.role,
        }
    )


def received(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`feedback.received`: one answer. It counts however late it is; a newer one of the same contact replaces it."""
    data: FeedbackReceived = event.data
    if data.settled is not None:
        following_up.answered(event, work, now)
        return
    order = work.orders.get(data.order_id)
    _record(event, work, now)
    if data.channel == QR:  # whoever scanned it, perhaps the driver: words and a count, and no evidence
        order.dialogue.qr_answers += 1
        opening.answered(event, order, work, now)
        order.dialogue.note_answer_at(event.received_at)
        return
    order.dialogue.apply_answer(event)
    _withdraw_readings(event, order, work)
    if event.source != TEXT_SOURCE:  # the conversation knows what was asked, and has decided
        _leave_to_person(event, order, work, now)
    asking.close_asks(order, data.contact_id, work)
    asking.respect_opt_outs(order, work, now)
    comparing.compare(order, work, now)
    comparing.observe_signs(order, work, now)
    opening.answered(event, order, work, now)


def _withdraw_readings(event: Event, order: Order, work: UnitOfWork) -> None:
    """A newer answer: proposed readings of older ones can no longer count, so what they were given to waits again."""
    data: FeedbackReceived = event.data
    given = [answer for answer in order.dialogue.answers if answer.contact_id == data.contact_id]
    if len(given) > 1 and (given[-1].source, given[-1].id) == (event.source, event.id):
        work.record_outdated(data.order_id, data.contact_id)


def _leave_to_person(event: Event, order: Order, work: UnitOfWork, now: datetime) -> None:
    """Have a person read an answer that states nothing codable, until its author states something that is.

    After a response to its author, words are read whatever was stated before: they may be about the response.
    """
    data: FeedbackReceived = event.data
    given = [answer for answer in order.dialogue.answers if answer.contact_id == data.contact_id]
    understood = any(answer.statement.is_codable for answer in given)
    words_only = all(not one.statement.is_codable for one in given if (one.source, one.id) == (event.source, event.id))
    writes_back = words_only and data.comment is not None and _was_responded_to(data, work)
    if understood and not writes_back:
        if len(given) > 1:
            work.record_clarified(Clarified(data.order_id, data.contact_id, now))
    elif not data.opt_out:
        row = item_row(
            InboxReason.UNASKED if writes_back else InboxReason.UNCODED,
            event.source,
            event.id,
            data.channel,
            now,
            order_id=data.order_id,
            contact_id=data.contact_id,
            language=_language(order, data.contact_id),
        )
        work.record_unread(row)


def _was_responded_to(data: FeedbackReceived, work: UnitOfWork) -> bool:
    status = work.asks.status_of(data.order_id, data.contact_id, RESPONSE)
    return status is not None and status.sent_on is not None


def _language(order: Order, contact_id: str) -> str | None:
    """The language of a contact without script and region: what its sealed words are in is not known here."""
    contact = contact_of(order.facts, contact_id)
    return None if contact is None or contact.language is None else contact.language.partition("-")[0].lower()[:10]


def _record(event: Event, work: UnitOfWork, now: datetime) -> None:
    """Store an answer with its words."""
    data: FeedbackReceived = event.data
    work.record_answer(
        {
            "source": event.source,
            "event_id": event.id,
            "order_id": data.order_id,
            "contact_id": data.contact_id,
            "received_at": now,
            "answered_at": answered_at(event),
            "channel": data.channel,
            "arrived_at": data.arrived_at,
            "comment": data.comment,
        }
        | _codes(Statement(data.arrival, data.complete, tuple(data.condition), data.score))
    )


def corrected(event: Event, work: UnitOfWork, now: datetime) -> None:
    """`feedback.corrected`: a person's reading of an answer counts, until the customer says something later.

    Raises BadEvent if a later answer has replaced the answer meanwhile.
    """
    data: FeedbackCorrected = event.data
    order = work.orders.get(data.order_id)
    refused = order.dialogue.apply_correction(event)
    if refused is not None:
        raise BadEvent(refused, "data.answer")
    work.record_corrected(_as_corrected(order, data.answer))
    if data.reading == NOTHING_STATED:  # the figures count that it was read, and the pair stays as it is
        return
    work.record_reading(item_id_of(data.answer.source, data.answer.id), data)
    comparing.compare(order, work, now)
    comparing.observe_signs(order, work, now)
    opening.corrected(event, order, work, now)


def _as_corrected(order: Order, named: AnswerRef) -> dict[str, Any]:
    """What an answer states as corrected, as it is stored."""
    answer = next(one for one in order.dialogue.answers if (one.source, one.id) == (named.source, named.id))
    stated = answer.as_corrected().statement
    return {"source": named.source, "event_id": named.id} | _codes(stated)


def _codes(stated: Statement) -> dict[str, Any]:
    """The columns of what an answer states."""
    return {
        "arrival": stated.arrival,
        "complete": stated.complete,
        "condition": ",".join(stated.conditions),
        "score": stated.score and stated.score.value,
        "scale": stated.score and stated.score.scale,
    }
