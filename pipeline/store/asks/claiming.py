"""Claims of asks: a dispatcher claims the asks that are to be processed, and each ask has one owner at a time.

Every such ask has a `wake_at`: when it is due, when the lease on it ends, or when its message is looked up again. What
becomes of a message is recorded in `outcomes`.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, Select, bindparam, func, select

from pipeline.domain.asking.ask_states import AskState, SendOutcome, hashed
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import zones_of
from pipeline.domain.asking.send_decision import End, Go, SendEligibility, Wait, before_sending
from pipeline.domain.events.contract import Contact, FeedbackRequested
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts
from pipeline.store.asks.outcomes import THIS_ASK, AskKey, change, end, matching, parameters
from pipeline.store.people.opt_outs import opted_out
from pipeline.store.people.vault import Vault, deliverable
from pipeline.store.schema.asks import asks
from pipeline.store.schema.orders import orders
from pipeline.store.schema.people import people

TOKEN_BYTES = 16  # 128 random bits
_encode = msgspec.json.Encoder().encode
_facts = msgspec.json.Decoder(Facts)
_dialogue = msgspec.json.Decoder(Dialogue)
_ON_ITS_WAY = (AskState.DUE, AskState.SENDING, AskState.UNKNOWN)
_COMMIT_TO_SEND = (
    asks.update()
    .where(*THIS_ASK, asks.c.state == AskState.DUE)
    .values(
        state=AskState.SENDING,
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
    """An ask that a dispatcher has committed to send, once. Its tokens are stored nowhere: only their hashes are."""

    key: AskKey
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
    late: timedelta  # since it was due


@dataclass(frozen=True)
class PendingLookup:
    """An ask whose message may or may not have been sent."""

    key: AskKey
    attempt: int
    channel: str
    to: str | None = field(repr=False)
    link_hash: str
    sending_at: datetime


class Claims(NamedTuple):
    """The work that a dispatcher claimed in one transaction. The asks in `ended` will not be sent."""

    to_send: list[Claimed]
    to_find: list[PendingLookup]
    postponed: int
    ended: list[SendOutcome]
    recovered: int  # their lease ended while they were sent: their dispatcher died or was suspended


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
    """Claim up to `limit` asks that are to be processed at `now`. The caller commits before it sends anything."""
    claims = Claims([], [], 0, [], 0)
    rows = connection.execute(_waking(now, limit)).all()
    if not rows:
        return claims
    context = _Context(connection, vault, policy, rows)
    postponed = recovered = 0
    to_send: list[dict[str, Any]] = []
    for row in rows:
        key = AskKey(row.order_id, row.contact_id, row.purpose)
        if row.state == AskState.DUE:
            eligibility = context.eligibility(row, channels)
            decision = before_sending(eligibility, policy, now)
            if isinstance(decision, Go):
                claimed, values = _prepare(context, row, decision, eligibility.zones, now)
                claims.to_send.append(claimed)
                to_send.append(values | {"v_owner": owner, "v_wake_at": now + lease})
            elif isinstance(decision, Wait):
                postponed += 1
                change(connection, key, {"due_at": decision.until, "wake_at": decision.until})
            elif isinstance(decision, End):
                claims.ended.append(decision.outcome)
                end(connection, key, AskState.NOT_ASKED, {"outcome": decision.outcome}, now)
            continue
        if row.state == AskState.SENDING:
            recovered += 1
            change(connection, key, {"state": AskState.UNKNOWN, "outcome": SendOutcome.UNKNOWN})
        # The owner of the lease looks up the message. If it dies, another dispatcher does so when the lease has ended.
        change(connection, key, {"wake_at": now + lease})
        to = context.address(row)
        claims.to_find.append(PendingLookup(key, row.attempt, row.channel, to, row.form_token_hash, row.sending_at))
    if to_send:
        connection.execute(_COMMIT_TO_SEND, to_send)
    return claims._replace(postponed=postponed, recovered=recovered)


def is_claimed(connection: Connection, claimed: Claimed) -> bool:
    """Whether the database holds this claim."""
    query = select(asks.c.form_token_hash).where(*matching(claimed.key), asks.c.state == AskState.SENDING)
    return connection.execute(query).scalar() == hashed(claimed.form_token)


def next_wake(connection: Connection) -> datetime | None:
    """When the next ask is to be processed; None: there is none."""
    return connection.execute(select(func.min(asks.c.wake_at))).scalar()


def number_by_state(connection: Connection) -> dict[AskState, int]:
    """How many asks dispatchers still have to process, by state."""
    query = select(asks.c.state, func.count()).where(asks.c.wake_at.is_not(None)).group_by(asks.c.state)
    found = {AskState(state): n for state, n in connection.execute(query)}
    return {state: found.get(state, 0) for state in _ON_ITS_WAY}


class _Context:
    """The orders, contacts and opt-outs that some asks refer to."""

    def __init__(self, connection: Connection, vault: Vault, policy: Policy, rows: Sequence[Row[Any]]) -> None:
        self._vault = vault
        self._policy = policy
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
        digests = {digest for person in self._people.values() for digest in (person.phone_digest, person.email_digest)}
        self._opted_out = opted_out(connection, digests - {None})

    def contact(self, row: Row[Any]) -> Contact | None:
        """The contact as the order names it now; None: the order no longer names it."""
        facts, _ = self._orders[row.order_id]
        return next((contact for contact in facts.latest.contacts if contact.id == row.contact_id), None)

    def digest(self, row: Row[Any]) -> str | None:
        """The digest of the address that a message goes to; None if there is none, or no such channel."""
        person, channel = self._people.get((row.account_id, row.contact_id)), self._policy.channel(row.channel)
        if person is None or channel is None:
            return None
        digest: str | None = getattr(person, f"{channel.address_kind}_digest")
        return digest

    def address(self, row: Row[Any]) -> str | None:
        """That address, as the channel sends to it."""
        person, channel = self._people.get((row.account_id, row.contact_id)), self._policy.channel(row.channel)
        sealed = None if person is None or channel is None else getattr(person, channel.address_kind)
        if person is None or channel is None or sealed is None:
            return None
        return deliverable(channel.address_kind, self._vault.open(person.wrapped_key, sealed))

    def eligibility(self, row: Row[Any], channels: Collection[str]) -> SendEligibility:
        """What the decision to send depends on."""
        facts, _ = self._orders[row.order_id]
        contact = self.contact(row)
        digest = self.digest(row)
        return SendEligibility(
            decided_at=row.decided_at,
            contact=contact,
            channel=self._policy.channel(row.channel) if row.channel in channels else None,
            address=digest,
            opted_out=digest in self._opted_out,
            zones=zones_of(contact.timezone if contact else None, facts.latest.timezone, self._policy),
        )

    def request(self, row: Row[Any]) -> FeedbackRequested:
        """The question, with the claim as it is at this moment."""
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
    context: _Context, row: Row[Any], go: Go, zones: frozenset[str], now: datetime
) -> tuple[Claimed, dict[str, Any]]:
    """What a dispatcher needs to send an ask, and what is stored before it may send it."""
    key = AskKey(row.order_id, row.contact_id, row.purpose)
    to, request = context.address(row), context.request(row)
    if to is None:
        raise LookupError("an ask that may be sent has no address")
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
        "v_recipient": context.digest(row),
        "v_form_token_hash": hashed(claimed.form_token),
        "v_callback_token_hash": hashed(claimed.callback_token),
    }


def _waking(now: datetime, limit: int) -> Select[Any]:
    """The asks to process, oldest first, without those that another dispatcher is just claiming."""
    query = select(asks).where(asks.c.wake_at <= now, asks.c.state.in_(_ON_ITS_WAY))
    return query.order_by(asks.c.wake_at).limit(limit).with_for_update(skip_locked=True)
