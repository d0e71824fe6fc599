"""What was sent to an address and to its contact, checked once more before another question goes there.

When it was decided to ask, the address may have been another one: a corrected phone number may be one that is resting.
The contact may have had another role, which rests for less.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, or_, select

from pipeline.domain.asking import address_rest
from pipeline.domain.asking.address_rest import DAY, Rest
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import MAX_CLOSED
from pipeline.domain.events.contract import RESPONSE, ContactRole
from pipeline.store.db import locks
from pipeline.store.db.bulk import among, among_rows
from pipeline.store.people.contact_opt_outs import ContactKey
from pipeline.store.schema.asks import IS_QUESTION, asks
from pipeline.store.schema.types import Utc

_SENT_AT = func.coalesce(asks.c.sending_at, asks.c.decided_at, type_=Utc())
_COLUMNS = asks.c.order_id, asks.c.contact_id, asks.c.account_id, asks.c.decided_at, asks.c.send_by, _SENT_AT
_SENT = select(asks.c.address, *_COLUMNS).where(
    asks.c.reason.is_(None), asks.c.state.not_in([AskState.DUE, AskState.NOT_ASKED]), IS_QUESTION
)


class _Message(NamedTuple):
    """One question that was sent or is being sent."""

    order_id: str
    contact_id: str
    account_id: str
    decided_at: datetime
    sent_at: datetime


class SentMessages:
    """The questions that went to some addresses and contacts.

    `due`: each address with its contact. Both are locked as far as nobody else has locked them.
    """

    def __init__(
        self, connection: Connection, policy: Policy, due: Collection[tuple[str, ContactKey]], now: datetime
    ) -> None:
        self._policy = policy
        self._now = now
        # Names of contacts and addresses share one kind of lock: this transaction has to have all of them at once.
        self._locked = locks.try_lock(connection, "address", {name for to, who in due for name in (to, _name(who))})
        self._sent: dict[str, list[_Message]] = defaultdict(list)
        self._to: dict[ContactKey, list[_Message]] = defaultdict(list)
        mine = [(to, who) for to, who in due if self.has_locked(to, who)]
        if not mine:
            return
        addresses, contacts = {to for to, _ in mine}, {who for _, who in mine}
        since = now - max(policy.longest_rest, DAY) - policy.send_within - MAX_CLOSED
        recent = or_(asks.c.decided_at >= since, asks.c.send_by >= since)
        for address, *columns in connection.execute(_SENT.where(among(connection, asks.c.address, addresses), recent)):
            self._sent[address].append(self._message(*columns))
        of = among_rows(connection, [asks.c.account_id, asks.c.contact_id], contacts)
        for _, *columns in connection.execute(_SENT.where(of, recent)):
            message = self._message(*columns)
            self._to[message.account_id, message.contact_id].append(message)

    def has_locked(self, address: str, contact: ContactKey) -> bool:
        """Whether this transaction holds the locks of the address and of the contact."""
        return address in self._locked and _name(contact) in self._locked

    def note(self, address: str, ask: Row[Any], now: datetime) -> None:
        """Count a message that this transaction sends, unless it is a response, which asks nothing."""
        if ask.purpose == RESPONSE:
            return
        message = self._message(ask.order_id, ask.contact_id, ask.account_id, ask.decided_at, ask.send_by, now)
        self._sent[address].append(message)
        self._to[ask.account_id, ask.contact_id].append(message)

    def rest(self, address: str, ask: Row[Any], role: ContactRole | None) -> Rest | None:
        """Why the contact may not be asked there: a question was decided less than a rest before or after.

        The rest of the address for questions to it, that of the role for those to the contact at any address. A
        reminder is none: it repeats a question. Nor is a response.
        """
        if ask.purpose in ("reminder", RESPONSE):
            return None
        near = {sent.account_id for sent in self._near(self._sent[address], ask, self._policy.contact_rest)}
        near |= {ask.account_id for _ in self._near(self._to[_contact(ask)], ask, self._policy.rest_of(role))}
        if not near:
            return None
        return Rest.OWN_ACCOUNT if ask.account_id in near else Rest.OTHER_ACCOUNT

    def free_at(self, address: str, ask: Row[Any]) -> datetime | None:
        """When the daily cap lets the address be asked; None: now, as for a response, which the contact waits for."""
        if ask.purpose == RESPONSE:
            return None
        return address_rest.free_at([sent.sent_at for sent in self._sent[address]], self._policy, self._now)

    def _near(self, messages: Sequence[_Message], ask: Row[Any], rest: timedelta) -> list[_Message]:
        """Those about other orders or to other contacts that were decided less than `rest` before or after."""
        same, decided_at = (ask.order_id, ask.contact_id), self._decided_at(ask.decided_at, ask.send_by)
        others = (sent for sent in messages if (sent.order_id, sent.contact_id) != same)
        return [sent for sent in others if abs(sent.decided_at - decided_at) < rest]

    def _message(
        self,
        order_id: str,
        contact_id: str,
        account_id: str,
        decided_at: datetime,
        send_by: datetime | None,
        sent_at: datetime,
    ) -> _Message:
        return _Message(order_id, contact_id, account_id, self._decided_at(decided_at, send_by), sent_at)

    def _decided_at(self, decided_at: datetime, send_by: datetime | None) -> datetime:
        """When it was decided, or made due once more."""
        return decided_at if send_by is None else max(decided_at, send_by - self._policy.send_within)


def _contact(ask: Row[Any]) -> ContactKey:
    return ask.account_id, ask.contact_id


def _name(contact: ContactKey) -> str:
    """The name of a contact's lock, which is no digest of an address."""
    return "\n".join(contact)
