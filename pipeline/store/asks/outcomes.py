"""What became of claimed asks. No report, however late or repeated, moves an ask back to a lower state.

The column `wake_at` says when a dispatcher has to process an ask next (see `claiming`); null: never.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Integer, Row, Select, String, bindparam, func, or_, select

from pipeline.domain.asking.ask_states import AskState, SendOutcome, before, hashed, loss, next_look
from pipeline.domain.events.cloudevents import envelope
from pipeline.domain.events.contract import OWN_SOURCE, SETTLED, Purpose
from pipeline.store.db.bulk import among_rows, upsert
from pipeline.store.journal.journal import Entry, Journal
from pipeline.store.orders.timers import ASK_LOST, REMINDER
from pipeline.store.people import contact_opt_outs, undeliverable
from pipeline.store.people.opt_outs import OptChange
from pipeline.store.people.undeliverable import Undeliverable
from pipeline.store.schema.asks import asks
from pipeline.store.schema.orders import timers
from pipeline.store.schema.types import Utc

_PROVIDER = "provider"  # the source of an opt-out that came as an error code

# Statements that are run for every message are built once and executed for many messages: building one costs more than
# running it. `THIS_ASK` selects the ask that `parameters` names.
THIS_ASK = (
    asks.c.order_id == bindparam("b_order_id"),
    asks.c.contact_id == bindparam("b_contact_id"),
    asks.c.purpose == bindparam("b_purpose"),
)
_THIS_ATTEMPT = (*THIS_ASK, asks.c.attempt == bindparam("b_attempt"))
_SET_STATE = {
    state: asks.update()
    .where(*_THIS_ATTEMPT, or_(*(asks.c.state == earlier for earlier in sorted(before(state)))))
    .values(
        state=state,
        outcome=SendOutcome.ACCEPTED,
        wake_at=None,
        code=func.coalesce(bindparam("v_code", type_=Integer), asks.c.code),
    )
    for state in (AskState.SENT, AskState.FAILED, AskState.DELIVERED)
}
_SET_TIMES = (
    asks.update()
    .where(*_THIS_ATTEMPT)
    .values(
        provider_id=func.coalesce(asks.c.provider_id, bindparam("v_provider_id", type_=String)),
        sent_at=func.coalesce(asks.c.sent_at, bindparam("v_now", type_=Utc)),
        delivered_at=func.coalesce(asks.c.delivered_at, bindparam("v_delivered_at", type_=Utc)),
    )
)
_REQUEST = select(asks.c.sending_at, asks.c.request).where(*_THIS_ATTEMPT)
_RECIPIENT = select(asks.c.recipient, asks.c.sending_at).where(*_THIS_ATTEMPT)


class AskKey(NamedTuple):
    """The key of an ask: there is at most one for each order, contact and purpose."""

    order_id: str
    contact_id: str
    purpose: Purpose


class AcceptedMessage(NamedTuple):
    """A message that the provider has, and how far it has come, by its answer, a callback, or its list of messages."""

    key: AskKey
    attempt: int
    provider_id: str
    state: AskState = AskState.SENT
    code: int | None = None
    undeliverable: bool = False  # nobody can be reached at the address


class RejectedMessage(NamedTuple):
    """A message that the provider refused for good, and whether that is because of its recipient."""

    key: AskKey
    attempt: int
    code: int | None
    opted_out: bool = False
    undeliverable: bool = False


def lock_asks(connection: Connection, keys: Collection[AskKey]) -> None:
    """Lock these asks, in the order in which every process locks them. On SQLite the one writer holds them already."""
    if keys and connection.dialect.name == "postgresql":
        rows = select(asks.c.state).where(among_rows(connection, list(asks.primary_key), keys))
        connection.execute(rows.order_by(*asks.primary_key).with_for_update()).all()


def record_accepted(
    connection: Connection, journal: Journal, messages: Sequence[AcceptedMessage], now: datetime
) -> None:
    """Move asks on to what the provider reports, and append the questions to the journal, each once.

    A report about an attempt that is not the newest changes nothing: that message was refused for certain.
    """
    if not messages:
        return
    journal.lock(connection)  # before the rows of asks: processors lock in this order
    lock_asks(connection, {message.key for message in messages})
    for state in dict.fromkeys(message.state for message in messages):
        rows = [
            parameters(message.key) | {"b_attempt": message.attempt, "v_code": message.code}
            for message in messages
            if message.state is state
        ]
        connection.execute(_SET_STATE[state], rows)
    rows = [
        parameters(message.key)
        | {
            "b_attempt": message.attempt,
            "v_provider_id": message.provider_id,
            "v_now": now,
            "v_delivered_at": now if message.state is AskState.DELIVERED else None,
        }
        for message in messages
    ]
    connection.execute(_SET_TIMES, rows)
    _append_requests(connection, journal, messages, now)
    _record_reachability(connection, messages)
    _remind_at_once(connection, messages, now)


def record_not_accepted(
    connection: Connection, key: AskKey, attempt: int, owner: str, retry_at: datetime, code: int | None = None
) -> bool:
    """Certainly nothing was sent: the ask is due again at `retry_at`. False: another dispatcher has taken over."""
    values = {"state": AskState.DUE, "outcome": SendOutcome.NOT_ACCEPTED, "due_at": retry_at, "wake_at": retry_at}
    mine = (asks.c.state == AskState.SENDING, asks.c.owner == owner, asks.c.attempt == attempt)
    return change(connection, key, values | _coded(code), *mine)


def record_rejected(connection: Connection, message: RejectedMessage, now: datetime) -> bool:
    """The provider refused the message for good. False: the ask is no longer in a state in which that matters."""
    key = message.key
    expected = (asks.c.attempt == message.attempt, asks.c.state.in_((AskState.SENDING, AskState.UNKNOWN)))
    if not change(connection, key, {"state": AskState.NOT_ASKED, "wake_at": None}, *expected):
        return False
    outcome = SendOutcome.UNDELIVERABLE if message.undeliverable else SendOutcome.REJECTED
    end(connection, key, AskState.NOT_ASKED, {"outcome": outcome, **_coded(message.code)}, now)
    if message.opted_out:
        record_opt_out(connection, key, now)
    if message.undeliverable:
        _let_rest(connection, key, AskState.NOT_ASKED)
    return True


def record_unknown(connection: Connection, key: AskKey, attempt: int, now: datetime) -> bool:
    """The message may have been sent: from now on it is looked up. False: the ask has moved on."""
    row = connection.execute(_locked(key)).one()
    look_at = next_look(row.sending_at, now) or now
    return _move(connection, key, attempt, AskState.UNKNOWN, {"outcome": SendOutcome.UNKNOWN, "wake_at": look_at})


def record_absent(connection: Connection, key: AskKey, attempt: int, now: datetime) -> AskState:
    """The provider's list lacks the message: look it up again later, or end it after the last lookup.

    Returns the state of the ask.
    """
    row = connection.execute(_locked(key)).one()
    look_at = next_look(row.sending_at, now)
    if look_at is not None:
        look_up_at(connection, key, attempt, look_at)
    elif _move(connection, key, attempt, AskState.UNRESOLVED, {"wake_at": None}):
        end(connection, key, AskState.UNRESOLVED, {}, now)
        return AskState.UNRESOLVED
    return AskState(row.state)


def record_never_sent(connection: Connection, key: AskKey, attempt: int, now: datetime) -> None:
    """A lookup proved that nothing was sent: the ask is due again."""
    values = {"state": AskState.DUE, "outcome": SendOutcome.NOT_ACCEPTED, "due_at": now, "wake_at": now}
    change(connection, key, values, asks.c.state == AskState.UNKNOWN, asks.c.attempt == attempt)


def look_up_at(connection: Connection, key: AskKey, attempt: int, at: datetime) -> None:
    """Schedule the next lookup of a message of unknown outcome."""
    change(connection, key, {"wake_at": at}, asks.c.state == AskState.UNKNOWN, asks.c.attempt == attempt)


def record_opt_out(connection: Connection, key: AskKey, now: datetime) -> None:
    """The provider says that the contact of this ask had opted out at its address when the message was sent."""
    columns = asks.c.account_id, asks.c.recipient, asks.c.sending_at, asks.c.attempt
    sent = connection.execute(select(*columns).where(*matching(key))).first()
    if sent is None or sent.recipient is None:
        return
    event_id = f"{key.order_id}:{key.purpose}:{key.contact_id}:{sent.attempt}"
    change = OptChange(sent.recipient, _PROVIDER, event_id, True, sent.sending_at or now)
    contact_opt_outs.record(connection, (sent.account_id, key.contact_id), change, {sent.recipient})


def _record_reachability(connection: Connection, messages: Sequence[AcceptedMessage]) -> None:
    """What the reports say about addresses: those rest where nobody can be reached, until a message arrives."""
    for key, attempt, *_ in (message for message in messages if message.state is AskState.DELIVERED):
        sent = connection.execute(_RECIPIENT, parameters(key) | {"b_attempt": attempt}).first()
        if sent is not None and sent.recipient is not None:
            undeliverable.reached(connection, sent.recipient, sent.sending_at)
    for message in messages:
        if message.undeliverable and message.state is AskState.FAILED:
            _let_rest(connection, message.key, AskState.FAILED)


def _remind_at_once(connection: Connection, messages: Sequence[AcceptedMessage], now: datetime) -> None:
    """Bring the reminders of messages that failed for good forward: they may reach the person on another channel."""
    for message in messages:
        if message.undeliverable and message.state is AskState.FAILED and message.key.purpose != "reminder":
            of = timers.c.order_id == message.key.order_id, timers.c.subject == message.key.contact_id
            later = timers.c.kind == REMINDER, timers.c.due_at > now
            connection.execute(timers.update().where(*of, *later).values(due_at=now))


def _let_rest(connection: Connection, key: AskKey, state: AskState) -> None:
    """Nobody can be reached at the address that this ask went to, if it is still in that state."""
    columns = asks.c.recipient, asks.c.sending_at, asks.c.code
    sent = connection.execute(select(*columns).where(*matching(key), asks.c.state == state)).first()
    if sent is not None and sent.recipient is not None:
        undeliverable.record(connection, [Undeliverable(sent.recipient, sent.sending_at, sent.code)])


def ask_by_callback(connection: Connection, callback_token: str) -> Row[Any] | None:
    """The ask that a status callback with this token is about; None: there is none."""
    query = select(asks).where(asks.c.callback_token_hash == hashed(callback_token))
    return connection.execute(query).first()


def matching(key: AskKey) -> tuple[Any, ...]:
    """The conditions that select one ask."""
    return (asks.c.order_id == key.order_id, asks.c.contact_id == key.contact_id, asks.c.purpose == key.purpose)


def parameters(key: AskKey) -> dict[str, Any]:
    """The parameters of a statement with the conditions `THIS_ASK`."""
    return {"b_order_id": key.order_id, "b_contact_id": key.contact_id, "b_purpose": key.purpose}


def change(connection: Connection, key: AskKey, values: dict[str, Any], *where: Any) -> bool:
    """Set these columns of an ask if it meets the conditions. Returns whether it did."""
    return connection.execute(asks.update().where(*matching(key), *where).values(values)).rowcount == 1


def end_follow_up(connection: Connection, order_id: str, contact_id: str) -> None:
    """The question whether a case is settled is answered: the next text of its contact is no answer to it."""
    change(connection, AskKey(order_id, contact_id, SETTLED), {"state": AskState.ANSWERED, "wake_at": None})


def end(connection: Connection, key: AskKey, state: AskState, values: dict[str, Any], now: datetime) -> None:
    """The question will not be sent: end the ask, and set a timer by which processors count the reason."""
    change(connection, key, {"state": state, "wake_at": None, **values})
    if loss(state, values.get("outcome")) is not None:
        subject = f"{key.purpose}:{key.contact_id}"
        row = {"kind": ASK_LOST, "order_id": key.order_id, "subject": subject, "due_at": now}
        upsert(connection, timers, [row])


def _locked(key: AskKey) -> Select[Any]:
    return select(asks.c.state, asks.c.sending_at).where(*matching(key)).with_for_update()


def _move(connection: Connection, key: AskKey, attempt: int, state: AskState, values: dict[str, Any]) -> bool:
    """Move an ask to a state of a higher rank, by a report about its newest attempt."""
    return change(
        connection, key, {"state": state, **values}, asks.c.attempt == attempt, asks.c.state.in_(before(state))
    )


def _append_requests(
    connection: Connection, journal: Journal, messages: Sequence[AcceptedMessage], now: datetime
) -> None:
    """Append the questions to the journal as `feedback.requested`, so that processors add them to the dialogue."""
    entries = []
    for key, attempt, *_ in messages:
        row = connection.execute(_REQUEST, parameters(key) | {"b_attempt": attempt}).first()
        if row is None:
            continue
        kind, event_id = "feedback.requested", f"{key.order_id}:{key.purpose}:{key.contact_id}"
        payload = envelope(OWN_SOURCE, event_id, kind, row.sending_at, msgspec.Raw(row.request.encode()))
        entries.append(Entry(OWN_SOURCE, event_id, kind, False, now, payload.decode(), key.order_id))
    journal.append(connection, entries)


def _coded(code: int | None) -> dict[str, Any]:
    return {} if code is None else {"code": code}
