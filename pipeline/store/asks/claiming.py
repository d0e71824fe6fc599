"""Claims of asks: a dispatcher claims the asks that are to be processed, and each ask has one owner at a time.

Every such ask has a `wake_at`: when it is due, when the lease on it ends, or when its message is looked up again. What
becomes of a message is recorded in `outcomes`.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, bindparam, func, select

from pipeline.domain.asking.ask_states import AskState, SendOutcome, hashed
from pipeline.domain.asking.calendars import Place
from pipeline.domain.asking.channels import Channel
from pipeline.domain.asking.eligibility import is_answerable
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import places_of
from pipeline.domain.asking.send_decision import End, Go, SendEligibility, Wait, before_sending
from pipeline.domain.events.contract import Contact, ContactRole, FeedbackRequested, FixedResponse
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts, contact_of
from pipeline.domain.orders.order import Order
from pipeline.store.asks.outcomes import THIS_ASK, AskKey, change, end, matching, parameters
from pipeline.store.asks.sent_messages import SentMessages
from pipeline.store.people import contact_opt_outs, undeliverable
from pipeline.store.people.opt_outs import opted_out
from pipeline.store.people.vault import Vault, deliverable
from pipeline.store.schema.asks import asks
from pipeline.store.schema.orders import orders
from pipeline.store.schema.people import people, sealing_keys

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
                "address",
                "form_token_hash",
                "callback_token_hash",
                "unsubscribe_token_hash",
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
    unsubscribe_token: str = field(repr=False)
    valid_for: timedelta
    places: frozenset[Place]
    sending_at: datetime
    late: timedelta  # since it was due
    role: ContactRole | None = None
    one_way: bool = False  # the contact cannot reply to the message
    response: FixedResponse | None = None  # its text, if it is a response


@dataclass(frozen=True)
class PendingLookup:
    """An ask whose message may or may not have been sent."""

    key: AskKey
    attempt: int
    channel: str
    to: str | None = field(repr=False)
    link_hash: str
    sending_at: datetime


@dataclass
class Claims:
    """The work that a dispatcher claimed in one transaction. The asks in `ended` will not be sent."""

    to_send: list[Claimed] = field(default_factory=list)
    to_find: list[PendingLookup] = field(default_factory=list)
    postponed: int = 0
    ended: list[SendOutcome] = field(default_factory=list)
    recovered: int = 0  # their lease ended while they were sent: their dispatcher died or was suspended


@dataclass(frozen=True)
class Claimer:
    """A dispatcher, as far as its claims depend on it."""

    vault: Vault
    policy: Policy
    owner: str
    channels: Collection[str]  # names of those that it can send on
    lease: timedelta  # afterwards its claim ends, and another dispatcher processes the ask

    def claim(self, connection: Connection, now: datetime, limit: int) -> Claims:
        """Claim up to `limit` asks that are to be processed at `now`. The caller commits before it sends anything."""
        rows = connection.execute(_waking(now, limit)).all()
        transaction = _Claiming(connection, self, now)
        if rows:
            context = _Context(connection, self.policy, rows, now)
            for ask in map(context.ask, rows):
                if ask.row.state == AskState.DUE:
                    transaction.decide(ask, context.sent)
                else:
                    transaction.look_up(ask)
            transaction.commit_to_send()
        return transaction.claims


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


@dataclass(frozen=True)
class _Ask:
    """An ask that is to be processed, with the order, contact and channel that it refers to, as they are now."""

    row: Row[Any]
    key: AskKey
    order_timezone: str | None
    claim: Claim
    contact: Contact | None  # as the order names it; None: the order no longer names it
    person: Row[Any] | None
    channel: Channel | None  # None: this installation does not have it
    digest: str | None  # of the address that a message goes to
    opted_out: bool  # that address, or the contact at any
    undeliverable: bool  # that address, for as long as it rests after a permanent failure
    answerable: bool  # whether the question still makes sense, by the order's facts

    def eligibility(self, by: Claimer, sent: SentMessages) -> SendEligibility:
        """What the decision to send depends on. `sent`: what has gone to the addresses of these asks."""
        return SendEligibility(
            decided_at=self.row.decided_at,
            contact=self.contact,
            channel=self.channel if channel_of(self.row) in by.channels else None,
            address=self.digest,
            opted_out=self.opted_out,
            undeliverable=self.undeliverable,
            places=places_of(self.contact, self.order_timezone, by.policy),
            answerable=self.answerable,
            rest=None if self.digest is None else sent.rest(self.digest, self.row, self.role),
            free_at=None if self.digest is None else sent.free_at(self.digest, self.row),
            send_by=self.row.send_by,
        )

    def address(self, vault: Vault) -> str | None:
        """The address that a message goes to, as the channel sends to it; None: there is none."""
        if self.person is None or self.channel is None:
            return None
        sealed = getattr(self.person, self.channel.address_kind)
        if sealed is None:
            return None
        return deliverable(self.channel.address_kind, vault.open(self.person.wrapped_key, sealed))

    @property
    def role(self) -> ContactRole | None:
        """The role of the contact as the order names them, else as they were when it was decided."""
        known: ContactRole | None = self.row.role
        return known if self.contact is None else self.contact.role

    @property
    def is_one_way(self) -> bool:
        """Whether the contact cannot reply on the channel, in their country."""
        return self.contact is not None and self.channel is not None and self.contact.country in self.channel.one_way_in

    def request(self) -> FeedbackRequested:
        """The question, with the claim as it is at this moment."""
        return FeedbackRequested(
            order_id=self.key.order_id,
            contact_id=self.key.contact_id,
            purpose=self.key.purpose,
            channel=channel_of(self.row),
            account_id=self.row.account_id,
            role=self.contact.role if self.contact else None,
            language=self.contact.language if self.contact else None,
            claim=self.claim,
            response=self.row.response,
        )


class _Context:
    """The orders, contacts and opt-outs that some asks refer to, read in a few queries."""

    def __init__(self, connection: Connection, policy: Policy, rows: Sequence[Row[Any]], now: datetime) -> None:
        self._policy = policy
        ids = {row.order_id for row in rows}
        query = select(orders.c.order_id, orders.c.facts, orders.c.dialogue).where(orders.c.order_id.in_(ids))
        self._orders = {
            order_id: (_facts.decode(facts), _dialogue.decode(dialogue))
            for order_id, facts, dialogue in connection.execute(query)
        }
        with_keys = select(people, sealing_keys.c.wrapped_key)
        of = with_keys.join(sealing_keys, sealing_keys.c.key_id == people.c.key_id).where(
            people.c.account_id.in_({row.account_id for row in rows}),
            people.c.contact_id.in_({row.contact_id for row in rows}),
        )
        self._people = {(person.account_id, person.contact_id): person for person in connection.execute(of)}
        digests = {digest for person in self._people.values() for digest in (person.phone_digest, person.email_digest)}
        self._opted_out = opted_out(connection, digests - {None})
        self._silent = contact_opt_outs.opted_out(connection, {(row.account_id, row.contact_id) for row in rows})
        rested_since = now - policy.undeliverable_rest
        failed_at = undeliverable.failed_at(connection, digests - {None})
        self._undeliverable = {digest for digest, at in failed_at.items() if at > rested_since}
        due = ((self._digest(row), (row.account_id, row.contact_id)) for row in rows if row.state == AskState.DUE)
        self.sent = SentMessages(connection, policy, {(to, who) for to, who in due if to is not None}, now)

    def ask(self, row: Row[Any]) -> _Ask:
        """The ask of a row of `asks`."""
        facts, dialogue = self._orders[row.order_id]
        digest = self._digest(row)
        return _Ask(
            row=row,
            key=AskKey(row.order_id, row.contact_id, row.purpose),
            order_timezone=facts.latest.timezone,
            claim=dialogue.claim,
            contact=contact_of(facts, row.contact_id),
            person=self._people.get((row.account_id, row.contact_id)),
            channel=self._policy.channel(channel_of(row)),
            digest=digest,
            opted_out=digest in self._opted_out or (row.account_id, row.contact_id) in self._silent,
            undeliverable=digest in self._undeliverable,
            answerable=is_answerable(Order(row.order_id, facts, dialogue), row.purpose),
        )

    def _digest(self, row: Row[Any]) -> str | None:
        """The digest of the address that a message goes to; None if there is none, or no such channel."""
        person, channel = self._people.get((row.account_id, row.contact_id)), self._policy.channel(channel_of(row))
        if person is None or channel is None:
            return None
        digest: str | None = getattr(person, f"{channel.address_kind}_digest")
        return digest


class _Claiming:
    """One transaction in which a dispatcher claims asks. `claims` grows with each of them."""

    def __init__(self, connection: Connection, by: Claimer, now: datetime) -> None:
        self._connection = connection
        self._by = by
        self._now = now
        self._committed: list[dict[str, Any]] = []
        self.claims = Claims()

    def decide(self, ask: _Ask, sent: SentMessages) -> None:
        """Claim a due ask to send it, or postpone or end it.

        While another transaction decides about its address or contact, the ask is left to the next claim.
        """
        if ask.digest is not None and not sent.has_locked(ask.digest, (ask.row.account_id, ask.row.contact_id)):
            return
        eligibility = ask.eligibility(self._by, sent)
        decision = before_sending(eligibility, self._by.policy, self._now)
        match decision:
            case Go(valid_for):
                self._claim(ask, valid_for, eligibility.places)
                if ask.digest is not None:
                    sent.note(ask.digest, ask.row, self._now)
            case Wait(until):
                self.claims.postponed += 1
                change(self._connection, ask.key, {"due_at": until, "wake_at": until})
            case End(outcome):
                self.claims.ended.append(outcome)
                end(self._connection, ask.key, AskState.NOT_ASKED, {"outcome": outcome}, self._now)

    def look_up(self, ask: _Ask) -> None:
        """Claim an ask whose message may have been sent, to look it up."""
        row = ask.row
        if row.state == AskState.SENDING:
            self.claims.recovered += 1
            change(self._connection, ask.key, {"state": AskState.UNKNOWN, "outcome": SendOutcome.UNKNOWN})
        # The owner of the lease looks up the message. If it dies, another dispatcher does so when the lease has ended.
        change(self._connection, ask.key, {"wake_at": self._now + self._by.lease})
        to = ask.address(self._by.vault)
        lookup = PendingLookup(ask.key, row.attempt, channel_of(row), to, row.form_token_hash, row.sending_at)
        self.claims.to_find.append(lookup)

    def commit_to_send(self) -> None:
        """Store that the claimed asks are being sent."""
        if self._committed:
            self._connection.execute(_COMMIT_TO_SEND, self._committed)

    def _claim(self, ask: _Ask, valid_for: timedelta, places: frozenset[Place]) -> None:
        to, request = ask.address(self._by.vault), ask.request()
        if to is None:
            raise LookupError("an ask that may be sent has no address")
        claimed = Claimed(
            key=ask.key,
            attempt=ask.row.attempt + 1,
            account_id=ask.row.account_id,
            channel=channel_of(ask.row),
            language=request.language,
            to=to,
            form_token=secrets.token_urlsafe(TOKEN_BYTES),
            callback_token=secrets.token_urlsafe(TOKEN_BYTES),
            unsubscribe_token=secrets.token_urlsafe(TOKEN_BYTES),
            valid_for=valid_for,
            places=places,
            sending_at=self._now,
            late=self._now - ask.row.due_at,
            role=request.role,
            one_way=ask.is_one_way,
            response=request.response,
        )
        self.claims.to_send.append(claimed)
        self._committed.append(
            parameters(ask.key)
            | {
                "v_attempt": claimed.attempt,
                "v_owner": self._by.owner,
                "v_sending_at": self._now,
                "v_wake_at": self._now + self._by.lease,
                "v_request": _encode(request).decode(),
                "v_recipient": ask.digest,
                "v_address": ask.digest,
                "v_form_token_hash": hashed(claimed.form_token),
                "v_callback_token_hash": hashed(claimed.callback_token),
                "v_unsubscribe_token_hash": hashed(claimed.unsubscribe_token),
            }
        )


def channel_of(ask: Row[Any]) -> str:
    """The name of the channel that an ask is sent on now."""
    return str(ask.fallback or ask.channel)


def _waking(now: datetime, limit: int) -> Select[Any]:
    """The asks to process, oldest first, without those that another dispatcher is just claiming."""
    query = select(asks).where(asks.c.wake_at <= now, asks.c.state.in_(_ON_ITS_WAY))
    return query.order_by(asks.c.wake_at).limit(limit).with_for_update(skip_locked=True)
