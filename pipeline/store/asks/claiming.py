"""The asks that a dispatcher has to look at, each claimed by one of them at a time.

Every one has a `wake_at`: when a due ask is to go, when the lease of one that is being sent ends, when a message of
unknown outcome is looked for again. What becomes of a message is told to `asks`.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, Select, bindparam, func, select

from pipeline.domain.asking.ask_states import Outcome, State, hashed
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import zones_of
from pipeline.domain.asking.send_decision import End, Go, Standing, Wait, before_sending
from pipeline.domain.events.contract import Contact, FeedbackRequested
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts
from pipeline.store.asks.outcomes import THIS_ASK, Key, change, lose, matching, parameters
from pipeline.store.people.vault import Vault, e164
from pipeline.store.schema.tables import asks, opt_outs, orders, people

TOKEN_BYTES = 16  # 128 random bits
_encode = msgspec.json.Encoder().encode
_facts = msgspec.json.Decoder(Facts)
_dialogue = msgspec.json.Decoder(Dialogue)
_ON_ITS_WAY = (State.DUE, State.SENDING, State.UNKNOWN)
_COMMIT_TO_SEND = (
    asks.update()
    .where(*THIS_ASK, asks.c.state == State.DUE)
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
                change(connection, key, {"due_at": decision.until, "wake_at": decision.until})
            elif isinstance(decision, End):
                claims.ended.append(decision.outcome)
                lose(connection, key, State.NOT_ASKED, {"outcome": decision.outcome}, now)
            continue
        if row.state == State.SENDING:
            recovered += 1
            change(connection, key, {"state": State.UNKNOWN, "outcome": Outcome.UNKNOWN})
        # Whoever claims it looks for it; if that one dies, somebody else does when the lease is over.
        change(connection, key, {"wake_at": now + lease})
        to = known.number(row)
        claims.to_find.append(Sought(key, row.attempt, row.channel, to, row.form_token_hash, row.sending_at))
    if to_send:
        connection.execute(_COMMIT_TO_SEND, to_send)
    return claims._replace(postponed=postponed, recovered=recovered)


def is_claimed(connection: Connection, claimed: Claimed) -> bool:
    """Whether that claim stands in the database."""
    query = select(asks.c.form_token_hash).where(*matching(claimed.key), asks.c.state == State.SENDING)
    return connection.execute(query).scalar() == hashed(claimed.form_token)


def next_wake(connection: Connection) -> datetime | None:
    """When the next ask is to be looked at; None: there is none."""
    return connection.execute(select(func.min(asks.c.wake_at))).scalar()


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
    return claimed, parameters(key) | {
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
