"""Corrections of how an answer was read: proposed by a person, counting by the rule of two people.

When one counts, `feedback.corrected` is appended to the journal in the same transaction; the runner processes it like
any other event.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

from sqlalchemy import Connection

from pipeline.domain.access.acts import Act, ActKind
from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import SYSTEM, Principal
from pipeline.domain.access.two_people import (
    DAYS_WITHOUT_A_SECOND,
    Membership,
    Outcome,
    decide_correction,
    may_be_second,
)
from pipeline.domain.answers.answer import answer_rank
from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.cloudevents import envelope
from pipeline.domain.events.contract import OWN_SOURCE, AnswerRef, BadEvent, FeedbackCorrected, Reading
from pipeline.domain.events.decoding import check_score
from pipeline.domain.orders.order import Order
from pipeline.store.acts import acts, corrections
from pipeline.store.acts.corrections import StoredCorrection
from pipeline.store.journal.journal import Entry
from pipeline.store.journal.retention import trusted_time
from pipeline.store.reads.order_record import read_orders
from pipeline.store.store import Store
from pipeline.store.users import users

_KIND = "feedback.corrected"


class Unknown(Exception):
    """There is no such order or correction, or the person does not see it."""


class Refused(Exception):
    """The correction cannot be proposed or confirmed. `field` names what is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Wish(NamedTuple):
    """What somebody reads in the newest answer of a contact to an order.

    `answer`: the one that they read, if they read a certain one; it is refused if that is not the newest any more.
    """

    order_id: str
    contact_id: str
    reading: Reading
    answer: AnswerRef | None = None


class Proposed(NamedTuple):
    """What became of a proposal. `due_at`: when it counts although nobody confirms it."""

    correction_id: str
    outcome: Outcome
    due_at: datetime | None


class WaitingCorrection(NamedTuple):
    """A correction that waits. `stated`: what counts of the contact until then. `may_confirm`: whether the viewer may.

    `counts_at`: when it counts although nobody confirms it; None: a user who may confirm it exists.
    """

    proposal: StoredCorrection
    stated: Statement | None
    may_confirm: bool
    counts_at: datetime | None


def propose(
    connection: Connection, store: Store, author: Principal, wish: Wish, origin: str, now: datetime
) -> Proposed:
    """Propose a correction of the contact's newest answer. Raises Unknown, Refused."""
    order = read_orders(connection, author, [wish.order_id]).get(wish.order_id)
    if order is None:
        raise Unknown(wish.order_id)
    answer = _newest_answer(order, wish)
    proposal = StoredCorrection(
        uuid4().hex, wish.order_id, wish.contact_id, answer.source, answer.id, wish.reading, author.name, now
    )
    corrections.add(connection, proposal)
    _record(connection, Act(now, author.name, ActKind.CORRECTION_PROPOSED, _subject(proposal), origin))
    decision = decide_correction(author, _membership(order), users.enabled_principals(connection), now)
    if decision.outcome == "counts":
        _count(connection, store, proposal, None, now)
    return Proposed(proposal.correction_id, decision.outcome, decision.due_at)


def count_nothing_to_code(connection: Connection, store: Store, author: Principal, wish: Wish, now: datetime) -> None:
    """Let it count that a person found nothing to code in the contact's newest answer, if nothing codable is known.

    It changes no pair, so it needs no second user. `wish`: with an empty reading.
    """
    order = read_orders(connection, author, [wish.order_id]).get(wish.order_id)
    current = [] if order is None else order.dialogue.current_answers()
    mine = next((answer for answer in current if answer.contact_id == wish.contact_id), None)
    if mine is None or mine.statement.is_codable or mine.correction is not None:
        return
    read = AnswerRef(mine.source, mine.id)
    data = FeedbackCorrected(wish.order_id, wish.contact_id, read, wish.reading, author.name, now)
    _append(connection, store, uuid4().hex, data)


def confirm(
    connection: Connection, store: Store, second: Principal, correction_id: str, origin: str, now: datetime
) -> None:
    """Confirm a correction that somebody else proposed. Raises Unknown, Refused."""
    proposal = corrections.find(connection, second, correction_id)
    if proposal is None:
        raise Unknown(correction_id)
    if proposal.counted_at is not None:
        raise Refused("correction", "counts already")
    order = read_orders(connection, SYSTEM, [proposal.order_id])[proposal.order_id]
    if not may_be_second(second, Permission.CORRECT, proposal.by, _membership(order)):
        raise Refused("correction", "is to be confirmed by another user, who has no stake in the order")
    read = AnswerRef(proposal.source, proposal.answer_id)
    _newest_answer(order, Wish(proposal.order_id, proposal.contact_id, proposal.reading, read))
    _record(connection, Act(now, second.name, ActKind.CORRECTION_CONFIRMED, _subject(proposal), origin))
    _count(connection, store, proposal, second.name, now)


def waiting_for(
    connection: Connection, viewer: Principal, *, order_id: str | None = None, limit: int | None = None
) -> list[WaitingCorrection]:
    """The corrections that wait and that the viewer sees, oldest first; of one order, and at most `limit`."""
    found = corrections.waiting(connection, viewer, order_id=order_id, limit=limit)
    orders = read_orders(connection, viewer, {proposal.order_id for proposal in found})
    everybody = users.enabled_principals(connection) if found else []
    return [_waiting(viewer, everybody, proposal, orders[proposal.order_id]) for proposal in found]


def _waiting(
    viewer: Principal, everybody: Sequence[Principal], proposal: StoredCorrection, order: Order
) -> WaitingCorrection:
    stated = [one.statement for one in order.dialogue.current_answers() if one.contact_id == proposal.contact_id]
    return WaitingCorrection(
        proposal,
        stated[0] if stated else None,
        may_be_second(viewer, Permission.CORRECT, proposal.by, _membership(order)),
        None if _has_second(everybody, proposal, order) else proposal.proposed_at + DAYS_WITHOUT_A_SECOND,
    )


def _has_second(everybody: Sequence[Principal], proposal: StoredCorrection, order: Order) -> bool:
    return any(may_be_second(one, Permission.CORRECT, proposal.by, _membership(order)) for one in everybody)


def count_waited(store: Store, now: datetime) -> int:
    """Let those count that have waited seven days, and that nobody without a stake could confirm. Returns how many."""
    with store.engine.begin() as connection:
        return _count_waited(connection, store, trusted_time(connection, now))


def _count_waited(connection: Connection, store: Store, now: datetime) -> int:
    due = corrections.waiting(connection, SYSTEM, now - DAYS_WITHOUT_A_SECOND)
    known = read_orders(connection, SYSTEM, [proposal.order_id for proposal in due])
    everybody = users.enabled_principals(connection) if due else []
    counted = 0
    for proposal in due:
        if not _has_second(everybody, proposal, known[proposal.order_id]):
            _count(connection, store, proposal, None, now)
            counted += 1
    return counted


def _newest_answer(order: Order, wish: Wish) -> AnswerRef:
    """The contact's newest answer. It has to be the one that was read, if the wish names it."""
    answers = [answer for answer in order.dialogue.answers if answer.contact_id == wish.contact_id]
    if not answers:
        raise Refused("contact_id", "has not answered about this order")
    if wish.reading == Reading():
        raise Refused("reading", "mentions nothing")
    try:
        check_score(wish.reading.score, "reading.score")
    except BadEvent as bad:
        raise Refused(bad.field, bad.reason) from None
    known = [AnswerRef(answer.source, answer.id) for answer in sorted(answers, key=answer_rank)]
    if wish.answer is not None and wish.answer not in known:
        raise Refused("answer", "is not among the answers of this contact to this order")
    if wish.answer is not None and wish.answer != known[-1]:
        raise Refused("answer", "was replaced by a later answer of the same contact")
    return known[-1]


def _count(connection: Connection, store: Store, proposal: StoredCorrection, second: str | None, now: datetime) -> None:
    if not corrections.mark_counted(connection, proposal.correction_id, second, now):
        return
    data = FeedbackCorrected(
        proposal.order_id,
        proposal.contact_id,
        AnswerRef(proposal.source, proposal.answer_id),
        proposal.reading,
        proposal.by,
        now,
        second,
    )
    _append(connection, store, proposal.correction_id, data)


def _append(connection: Connection, store: Store, event_id: str, data: FeedbackCorrected) -> None:
    payload = envelope(OWN_SOURCE, event_id, _KIND, data.at, data).decode()
    store.journal.append(connection, [Entry(OWN_SOURCE, event_id, _KIND, False, data.at, payload, data.order_id)])


def _membership(order: Order) -> Membership:
    if not order.facts.known:
        return Membership("", {})
    return Membership(order.facts.latest.account.id, order.facts.latest.dimensions)


def _subject(proposal: StoredCorrection) -> str:
    return f"{proposal.order_id}:{proposal.contact_id}:{proposal.correction_id}"


def _record(connection: Connection, act: Act) -> None:
    acts.append(connection, act)
