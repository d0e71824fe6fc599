"""What became of an ask once it was claimed: no news of it, however late or often it comes, takes anything back.

`wake_at` says when a dispatcher has to look at it again (see `claiming`); None: never.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Integer, Row, Select, String, bindparam, func, or_, select

from pipeline.domain.asking.ask_states import Outcome, State, before, hashed, loss, next_look
from pipeline.domain.events.contract import OWN_SOURCE, Purpose
from pipeline.store.db.bulk import among_rows, insert_new, upsert
from pipeline.store.db.engine import is_cluster
from pipeline.store.journal import journal
from pipeline.store.orders.timers import ASK_LOST
from pipeline.store.schema.tables import Utc, asks, opt_outs, timers

_PROVIDER = "provider"  # who told us of an opt-out that came as an error code
_encode = msgspec.json.Encoder().encode

# What is done for every message is written for many at once: to build such a statement anew costs more than to run it.
# Its ask is `THIS_ASK`, and `parameters` say which that is.
THIS_ASK = (
    asks.c.order_id == bindparam("b_order_id"),
    asks.c.contact_id == bindparam("b_contact_id"),
    asks.c.purpose == bindparam("b_purpose"),
)
_THIS_ATTEMPT = (*THIS_ASK, asks.c.attempt == bindparam("b_attempt"))
_ACCEPT = {
    state: asks.update()
    .where(*_THIS_ATTEMPT, or_(*(asks.c.state == earlier for earlier in sorted(before(state)))))
    .values(
        state=state,
        outcome=Outcome.ACCEPTED,
        wake_at=None,
        code=func.coalesce(bindparam("v_code", type_=Integer), asks.c.code),
    )
    for state in (State.SENT, State.FAILED, State.DELIVERED)
}
_REMEMBER = (
    asks.update()
    .where(*_THIS_ATTEMPT)
    .values(
        provider_id=func.coalesce(asks.c.provider_id, bindparam("v_provider_id", type_=String)),
        sent_at=func.coalesce(asks.c.sent_at, bindparam("v_now", type_=Utc)),
        delivered_at=func.coalesce(asks.c.delivered_at, bindparam("v_delivered_at", type_=Utc)),
    )
)
_REQUEST = select(asks.c.sending_at, asks.c.request).where(*_THIS_ATTEMPT)


class Key(NamedTuple):
    """What there is at most one ask of."""

    order_id: str
    contact_id: str
    purpose: Purpose


class News(NamedTuple):
    """That the provider has a message, and how far it has come: told by its answer, a callback, or its list."""

    key: Key
    attempt: int
    provider_id: str
    state: State = State.SENT
    code: int | None = None


def accepted(connection: Connection, news: Sequence[News], now: datetime) -> None:
    """Move asks on to what the provider told of them, and tell the processors of those that they have not heard of.

    News of an attempt that is not the newest is of a message that was refused for certain: it changes nothing.
    """
    if not news:
        return
    journal.hold(connection)  # before any ask's row: processors lock in this order
    hold(connection, {one.key for one in news})
    for state in dict.fromkeys(one.state for one in news):
        rows = [
            parameters(one.key) | {"b_attempt": one.attempt, "v_code": one.code} for one in news if one.state is state
        ]
        connection.execute(_ACCEPT[state], rows)
    rows = [
        parameters(one.key)
        | {
            "b_attempt": one.attempt,
            "v_provider_id": one.provider_id,
            "v_now": now,
            "v_delivered_at": now if one.state is State.DELIVERED else None,
        }
        for one in news
    ]
    connection.execute(_REMEMBER, rows)
    _tell(connection, news, now)


def hold(connection: Connection, keys: Collection[Key]) -> None:
    """In a cluster: have these rows to ourselves, taken in the order in which everybody takes them."""
    if keys and is_cluster(connection):
        rows = select(asks.c.state).where(among_rows(connection, list(asks.primary_key), keys))
        connection.execute(rows.order_by(*asks.primary_key).with_for_update()).all()


def not_accepted(
    connection: Connection, key: Key, attempt: int, owner: str, retry_at: datetime, code: int | None = None
) -> bool:
    """Nothing was sent, for certain: the ask is due again, unless somebody else has taken over meanwhile."""
    values = {"state": State.DUE, "outcome": Outcome.NOT_ACCEPTED, "due_at": retry_at, "wake_at": retry_at}
    mine = (asks.c.state == State.SENDING, asks.c.owner == owner, asks.c.attempt == attempt)
    return change(connection, key, values | _coded(code), *mine)


def rejected(connection: Connection, key: Key, attempt: int, code: int | None, opted_out: bool, now: datetime) -> bool:
    """The provider refused it for good. With `opted_out` it knows that the person wants no messages; now we do, too."""
    may = (asks.c.attempt == attempt, asks.c.state.in_((State.SENDING, State.UNKNOWN)))
    if not change(connection, key, {"state": State.NOT_ASKED, "wake_at": None}, *may):
        return False
    lose(connection, key, State.NOT_ASKED, {"outcome": Outcome.REJECTED, **_coded(code)}, now)
    if opted_out:
        opt_out(connection, key, now)
    return True


def unknown(connection: Connection, key: Key, attempt: int, now: datetime) -> bool:
    """It may have been sent: from now on it is looked for."""
    row = connection.execute(_one(key)).one()
    look_at = next_look(row.sending_at, now) or now
    return _move(connection, key, attempt, State.UNKNOWN, {"outcome": Outcome.UNKNOWN, "wake_at": look_at})


def absent(connection: Connection, key: Key, attempt: int, now: datetime) -> State:
    """The provider's list does not have it: look again later, or after the last look give it up. Returns the state."""
    row = connection.execute(_one(key)).one()
    look_at = next_look(row.sending_at, now)
    if look_at is not None:
        change(connection, key, {"wake_at": look_at}, asks.c.state == State.UNKNOWN, asks.c.attempt == attempt)
    elif _move(connection, key, attempt, State.UNRESOLVED, {"wake_at": None}):
        lose(connection, key, State.UNRESOLVED, {}, now)
        return State.UNRESOLVED
    return State(row.state)


def never_sent(connection: Connection, key: Key, attempt: int, now: datetime) -> None:
    """It was looked for, and it is certain that nothing was sent: the ask is due again."""
    values = {"state": State.DUE, "outcome": Outcome.NOT_ACCEPTED, "due_at": now, "wake_at": now}
    change(connection, key, values, asks.c.state == State.UNKNOWN, asks.c.attempt == attempt)


def look_again(connection: Connection, key: Key, attempt: int, at: datetime) -> None:
    """The look itself failed: nothing follows from it but another one."""
    change(connection, key, {"wake_at": at}, asks.c.state == State.UNKNOWN, asks.c.attempt == attempt)


def by_callback(connection: Connection, callback_token: str) -> Row[Any] | None:
    """The ask that a status callback speaks of."""
    query = select(asks).where(asks.c.callback_token_hash == hashed(callback_token))
    return connection.execute(query).first()


def opt_out(connection: Connection, key: Key, now: datetime) -> None:
    """The person this ask went to wants no messages."""
    digest = connection.execute(select(asks.c.recipient).where(*matching(key))).scalar()
    if digest is not None:
        insert_new(connection, opt_outs, [{"digest": digest, "at": now, "source": _PROVIDER}])


def matching(key: Key) -> tuple[Any, ...]:
    """The conditions that pick one ask."""
    return (asks.c.order_id == key.order_id, asks.c.contact_id == key.contact_id, asks.c.purpose == key.purpose)


def parameters(key: Key) -> dict[str, Any]:
    """What a statement by `THIS_ASK` is run with."""
    return {"b_order_id": key.order_id, "b_contact_id": key.contact_id, "b_purpose": key.purpose}


def change(connection: Connection, key: Key, values: dict[str, Any], *where: Any) -> bool:
    """Set these columns of an ask, if it still is as `where` says. Returns whether it was."""
    return connection.execute(asks.update().where(*matching(key), *where).values(values)).rowcount == 1


def lose(connection: Connection, key: Key, state: State, values: dict[str, Any], now: datetime) -> None:
    """The question will not be put: say so to the processors, so that the loss is counted with its reason."""
    change(connection, key, {"state": state, "wake_at": None, **values})
    if loss(state, values.get("outcome")) is not None:
        subject = f"{key.purpose}:{key.contact_id}"
        row = {"kind": ASK_LOST, "order_id": key.order_id, "subject": subject, "due_at": now}
        upsert(connection, timers, [row])


def _one(key: Key) -> Select[Any]:
    return select(asks.c.state, asks.c.sending_at).where(*matching(key)).with_for_update()


def _move(connection: Connection, key: Key, attempt: int, state: State, values: dict[str, Any]) -> bool:
    """Move an ask to a state of a higher rank, by news of its newest attempt."""
    return change(
        connection, key, {"state": state, **values}, asks.c.attempt == attempt, asks.c.state.in_(before(state))
    )


def _tell(connection: Connection, news: Sequence[News], now: datetime) -> None:
    """Put the questions into the journal as events, each once, so that the processors take them into the dialogue."""
    entries = []
    for key, attempt, *_ in news:
        row = connection.execute(_REQUEST, parameters(key) | {"b_attempt": attempt}).first()
        if row is None:
            continue
        event_id = f"{key.order_id}:{key.purpose}:{key.contact_id}"
        payload = {
            "specversion": "1.0",
            "id": event_id,
            "source": OWN_SOURCE,
            "type": "feedback.requested",
            "time": row.sending_at,
            "data": msgspec.Raw(row.request.encode()),
        }
        text = _encode(payload).decode()
        entries.append(journal.Entry(OWN_SOURCE, event_id, "feedback.requested", False, now, text, key.order_id))
    journal.append(connection, entries)


def _coded(code: int | None) -> dict[str, Any]:
    return {} if code is None else {"code": code}
