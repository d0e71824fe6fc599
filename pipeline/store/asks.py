"""The asks that are to be sent: claimed by one dispatcher at a time, and what became of each, never put back.

Everything a dispatcher looks at has a `wake_at`: when a due ask is to go, when the lease of one that is being sent
ends, when a message of unknown outcome is looked for again.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Integer, Row, Select, String, bindparam, func, or_, select

from pipeline.domain.asks import (
    End,
    Go,
    Outcome,
    Standing,
    State,
    Wait,
    before,
    before_sending,
    hashed,
    loss,
    next_look,
    zones_of,
)
from pipeline.domain.eligibility import Policy
from pipeline.domain.events import OWN_SOURCE, Contact, FeedbackRequested, Purpose
from pipeline.domain.orders import Dialogue, Facts
from pipeline.store import journal
from pipeline.store.bulk import among_rows, insert_new, upsert
from pipeline.store.engine import is_cluster
from pipeline.store.tables import Utc, asks, opt_outs, orders, people, timers
from pipeline.store.timers import ASK_LOST
from pipeline.store.vault import Vault, e164

TOKEN_BYTES = 16  # 128 random bits
OPT_OUT_SOURCE = "provider"  # who told us of an opt-out that came as an error code
_encode = msgspec.json.Encoder().encode
_facts = msgspec.json.Decoder(Facts)
_dialogue = msgspec.json.Decoder(Dialogue)
_ON_ITS_WAY = (State.DUE, State.SENDING, State.UNKNOWN)

# What is done for every message is written for many at once: to build such a statement anew costs more than to run it.
_THIS = (
    asks.c.order_id == bindparam("b_order_id"),
    asks.c.contact_id == bindparam("b_contact_id"),
    asks.c.purpose == bindparam("b_purpose"),
)
_THIS_ATTEMPT = (*_THIS, asks.c.attempt == bindparam("b_attempt"))
_COMMIT_TO_SEND = (
    asks.update()
    .where(*_THIS, asks.c.state == State.DUE)
    .values(
        state=State.SENDING,
        outcome=None,
        code=None,
        **{
            name: bindparam(f"v_{name}")
            for name in (
                "attempt",
                "owner",
                "sending_at",
                "wake_at",
                "request",
                "recipient",
                "form_token_hash",
                "callback_token_hash",
            )
        },
    )
)
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


@dataclass(frozen=True)
class Claimed:
    """An ask this dispatcher has committed to send, once. Tokens are known here and nowhere else."""

    key: Key
    attempt: int
    account_id: str
    channel: str
    language: str | None
    to: str = field(repr=False)
    form_token: str = field(repr=False)
    callback_token: str = field(repr=False)
    valid_for: timedelta
    zones: frozenset[str]
    sending_at: datetime
    late: timedelta  # behind the time it was due


@dataclass(frozen=True)
class Sought:
    """An ask whose message may or may not have gone out."""

    key: Key
    attempt: int
    channel: str
    to: str | None = field(repr=False)
    link_hash: str
    sending_at: datetime


class Claims(NamedTuple):
    """What one look at the table gave a dispatcher to do. `ended` asks will not be sent."""

    to_send: list[Claimed]
    to_find: list[Sought]
    postponed: int
    ended: list[Outcome]
    recovered: int  # found as `sending` long after: somebody died or was paused over them


def claim(
    connection: Connection,
    vault: Vault,
    policy: Policy,
    owner: str,
    channels: Collection[str],
    now: datetime,
    limit: int,
    lease: timedelta,
) -> Claims:
    """Take up to `limit` asks that something has to be done about. The caller commits before it sends anything."""
    claims = Claims([], [], 0, [], 0)
    rows = connection.execute(_waking(now, limit)).all()
    if not rows:
        return claims
    known = _Known(connection, vault, rows)
    postponed = recovered = 0
    to_send: list[dict[str, Any]] = []
    for row in rows:
        key = Key(row.order_id, row.contact_id, row.purpose)
        if row.state == State.DUE:
            standing = known.standing(row, policy, channels)
            decision = before_sending(standing, policy, now)
            if isinstance(decision, Go):
                claimed, values = _prepare(known, row, decision, standing.zones, now)
                claims.to_send.append(claimed)
                to_send.append(values | {"v_owner": owner, "v_wake_at": now + lease})
            elif isinstance(decision, Wait):
                postponed += 1
                _set(connection, key, {"due_at": decision.until, "wake_at": decision.until})
            elif isinstance(decision, End):
                claims.ended.append(decision.outcome)
                _lose(connection, key, State.NOT_ASKED, {"outcome": decision.outcome}, now)
            continue
        if row.state == State.SENDING:
            recovered += 1
            _set(connection, key, {"state": State.UNKNOWN, "outcome": Outcome.UNKNOWN})
        # Whoever claims it looks for it; if that one dies, somebody else does when the lease is over.
        _set(connection, key, {"wake_at": now + lease})
        to = known.number(row)
        claims.to_find.append(Sought(key, row.attempt, row.channel, to, row.form_token_hash, row.sending_at))
    if to_send:
        connection.execute(_COMMIT_TO_SEND, to_send)
    return claims._replace(postponed=postponed, recovered=recovered)


def is_claimed(connection: Connection, claimed: Claimed) -> bool:
    """Whether that claim stands in the database."""
    query = select(asks.c.form_token_hash).where(*_is(claimed.key), asks.c.state == State.SENDING)
    return connection.execute(query).scalar() == hashed(claimed.form_token)


def next_wake(connection: Connection) -> datetime | None:
    """When the next ask is to be looked at; None: there is none."""
    return connection.execute(select(func.min(asks.c.wake_at))).scalar()


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
        rows = [_named(one.key) | {"b_attempt": one.attempt, "v_code": one.code} for one in news if one.state is state]
        connection.execute(_ACCEPT[state], rows)
    rows = [
        _named(one.key)
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
    return _set(connection, key, values | _coded(code), *mine)


def rejected(connection: Connection, key: Key, attempt: int, code: int | None, opted_out: bool, now: datetime) -> bool:
    """The provider refused it for good. With `opted_out` it knows that the person wants no messages; now we do, too."""
    may = (asks.c.attempt == attempt, asks.c.state.in_((State.SENDING, State.UNKNOWN)))
    if not _set(connection, key, {"state": State.NOT_ASKED, "wake_at": None}, *may):
        return False
    _lose(connection, key, State.NOT_ASKED, {"outcome": Outcome.REJECTED, **_coded(code)}, now)
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
        _set(connection, key, {"wake_at": look_at}, asks.c.state == State.UNKNOWN, asks.c.attempt == attempt)
    elif _move(connection, key, attempt, State.UNRESOLVED, {"wake_at": None}):
        _lose(connection, key, State.UNRESOLVED, {}, now)
        return State.UNRESOLVED
    return State(row.state)


def never_sent(connection: Connection, key: Key, attempt: int, now: datetime) -> None:
    """It was looked for, and it is certain that nothing was sent: the ask is due again."""
    values = {"state": State.DUE, "outcome": Outcome.NOT_ACCEPTED, "due_at": now, "wake_at": now}
    _set(connection, key, values, asks.c.state == State.UNKNOWN, asks.c.attempt == attempt)


def look_again(connection: Connection, key: Key, attempt: int, at: datetime) -> None:
    """The look itself failed: nothing follows from it but another one."""
    _set(connection, key, {"wake_at": at}, asks.c.state == State.UNKNOWN, asks.c.attempt == attempt)


def by_callback(connection: Connection, callback_token: str) -> Row[Any] | None:
    """The ask that a status callback speaks of."""
    query = select(asks).where(asks.c.callback_token_hash == hashed(callback_token))
    return connection.execute(query).first()


def opt_out(connection: Connection, key: Key, now: datetime, source: str = OPT_OUT_SOURCE) -> None:
    """The person this ask went to wants no messages."""
    digest = connection.execute(select(asks.c.recipient).where(*_is(key))).scalar()
    if digest is not None:
        insert_new(connection, opt_outs, [{"digest": digest, "at": now, "source": source}])


def waiting(connection: Connection) -> dict[State, int]:
    """How many asks stand where a dispatcher still has to do something, by state."""
    query = select(asks.c.state, func.count()).where(asks.c.wake_at.is_not(None)).group_by(asks.c.state)
    found = {State(state): n for state, n in connection.execute(query)}
    return {state: found.get(state, 0) for state in _ON_ITS_WAY}


class _Known:
    """What is known of the orders and people that a few asks speak of."""

    def __init__(self, connection: Connection, vault: Vault, rows: Sequence[Row[Any]]) -> None:
        self._vault = vault
        ids = {row.order_id for row in rows}
        query = select(orders.c.order_id, orders.c.facts, orders.c.dialogue).where(orders.c.order_id.in_(ids))
        self._orders = {
            order_id: (_facts.decode(facts), _dialogue.decode(dialogue))
            for order_id, facts, dialogue in connection.execute(query)
        }
        of = select(people).where(
            people.c.account_id.in_({row.account_id for row in rows}),
            people.c.contact_id.in_({row.contact_id for row in rows}),
        )
        self._people = {(person.account_id, person.contact_id): person for person in connection.execute(of)}
        digests = [person.phone_digest for person in self._people.values() if person.phone_digest is not None]
        out = select(opt_outs.c.digest).where(opt_outs.c.digest.in_(digests))
        self._opted_out = frozenset(connection.execute(out).scalars())

    def contact(self, row: Row[Any]) -> Contact | None:
        """The contact as the order names it now."""
        facts, _ = self._orders[row.order_id]
        return next((contact for contact in facts.latest.contacts if contact.id == row.contact_id), None)

    def digest(self, row: Row[Any]) -> str | None:
        """The digest of the number a message would go to."""
        person = self._people.get((row.account_id, row.contact_id))
        return None if person is None else person.phone_digest

    def number(self, row: Row[Any]) -> str | None:
        """The number itself, in E.164."""
        person = self._people.get((row.account_id, row.contact_id))
        if person is None or person.phone is None:
            return None
        return e164(self._vault.open(person.wrapped_key, person.phone))

    def standing(self, row: Row[Any], policy: Policy, channels: Collection[str]) -> Standing:
        """What the decision to send depends on."""
        facts, _ = self._orders[row.order_id]
        contact = self.contact(row)
        # A contact who was taken off the order is asked all the same: that must not be a way to avoid a question.
        consents = contact is None or (contact.consent is not None and contact.consent.sms)
        digest = self.digest(row)
        return Standing(
            decided_at=row.decided_at,
            willing=consents and digest not in self._opted_out,
            reachable=digest is not None and row.channel in channels,
            zones=zones_of(contact.timezone if contact else None, facts.latest.timezone, policy),
        )

    def request(self, row: Row[Any]) -> FeedbackRequested:
        """What is asked, with the claim as it stands at this moment."""
        _, dialogue = self._orders[row.order_id]
        contact = self.contact(row)
        return FeedbackRequested(
            order_id=row.order_id,
            contact_id=row.contact_id,
            purpose=row.purpose,
            channel=row.channel,
            account_id=row.account_id,
            role=contact.role if contact else None,
            language=contact.language if contact else None,
            claim=dialogue.claim,
        )


def _prepare(
    known: _Known, row: Row[Any], go: Go, zones: frozenset[str], now: datetime
) -> tuple[Claimed, dict[str, Any]]:
    """What a dispatcher needs to send the ask, and what is stored of it before it may."""
    key = Key(row.order_id, row.contact_id, row.purpose)
    to, request = known.number(row), known.request(row)
    if to is None:
        raise LookupError("an ask counts as reachable and has no number")
    claimed = Claimed(
        key=key,
        attempt=row.attempt + 1,
        account_id=row.account_id,
        channel=row.channel,
        language=request.language,
        to=to,
        form_token=secrets.token_urlsafe(TOKEN_BYTES),
        callback_token=secrets.token_urlsafe(TOKEN_BYTES),
        valid_for=go.valid_for,
        zones=zones,
        sending_at=now,
        late=now - row.due_at,
    )
    return claimed, _named(key) | {
        "v_attempt": claimed.attempt,
        "v_sending_at": now,
        "v_request": _encode(request).decode(),
        "v_recipient": known.digest(row),
        "v_form_token_hash": hashed(claimed.form_token),
        "v_callback_token_hash": hashed(claimed.callback_token),
    }


def _waking(now: datetime, limit: int) -> Select[Any]:
    """The asks that are to be looked at, oldest first; those another dispatcher is just looking at are passed over."""
    query = select(asks).where(asks.c.wake_at <= now, asks.c.state.in_(_ON_ITS_WAY))
    return query.order_by(asks.c.wake_at).limit(limit).with_for_update(skip_locked=True)


def _one(key: Key) -> Select[Any]:
    return select(asks.c.state, asks.c.sending_at).where(*_is(key)).with_for_update()


def _is(key: Key) -> tuple[Any, ...]:
    return (asks.c.order_id == key.order_id, asks.c.contact_id == key.contact_id, asks.c.purpose == key.purpose)


def _move(connection: Connection, key: Key, attempt: int, state: State, values: dict[str, Any]) -> bool:
    """Move an ask to a state of a higher rank, by news of its newest attempt."""
    return _set(connection, key, {"state": state, **values}, asks.c.attempt == attempt, asks.c.state.in_(before(state)))


def _set(connection: Connection, key: Key, values: dict[str, Any], *where: Any) -> bool:
    return connection.execute(asks.update().where(*_is(key), *where).values(values)).rowcount == 1


def _lose(connection: Connection, key: Key, state: State, values: dict[str, Any], now: datetime) -> None:
    """The question will not be put: say so to the processors, so that the loss is counted with its reason."""
    _set(connection, key, {"state": state, "wake_at": None, **values})
    if loss(state, values.get("outcome")) is not None:
        subject = f"{key.purpose}:{key.contact_id}"
        row = {"kind": ASK_LOST, "order_id": key.order_id, "subject": subject, "due_at": now}
        upsert(connection, timers, [row])


def _tell(connection: Connection, news: Sequence[News], now: datetime) -> None:
    """Put the questions into the journal as events, each once, so that the processors take them into the dialogue."""
    entries = []
    for key, attempt, *_ in news:
        row = connection.execute(_REQUEST, _named(key) | {"b_attempt": attempt}).first()
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


def _named(key: Key) -> dict[str, Any]:
    return {"b_order_id": key.order_id, "b_contact_id": key.contact_id, "b_purpose": key.purpose}


def _coded(code: int | None) -> dict[str, Any]:
    return {} if code is None else {"code": code}
