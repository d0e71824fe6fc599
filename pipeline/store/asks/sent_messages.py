"""What was sent to an address, checked once more before another question goes there.

When it was decided to ask, the address may have been another one: a corrected phone number may be one that is resting.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, or_, select

from pipeline.domain.asking import address_rest
from pipeline.domain.asking.address_rest import DAY, Rest
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import MAX_CLOSED
from pipeline.store.db import locks
from pipeline.store.db.bulk import among
from pipeline.store.schema.asks import asks
from pipeline.store.schema.types import Utc

_SENT_AT = func.coalesce(asks.c.sending_at, asks.c.decided_at, type_=Utc())
_SENT = select(
    asks.c.address, asks.c.order_id, asks.c.contact_id, asks.c.account_id, asks.c.decided_at, asks.c.send_by, _SENT_AT
).where(asks.c.reason.is_(None), asks.c.state.not_in([AskState.DUE, AskState.NOT_ASKED]))


class _Message(NamedTuple):
    """One question that was sent or is being sent."""

    order_id: str
    contact_id: str
    account_id: str
    decided_at: datetime
    sent_at: datetime


class SentMessages:
    """The questions that went to some addresses, which are locked as far as nobody else has locked them."""

    def __init__(self, connection: Connection, policy: Policy, addresses: Collection[str], now: datetime) -> None:
        self._policy = policy
        self._now = now
        self._locked = locks.try_lock(connection, "address", addresses)
        self._sent: dict[str, list[_Message]] = defaultdict(list)
        if not self._locked:
            return
        since = now - max(policy.contact_rest, DAY) - policy.send_within - MAX_CLOSED
        recent = or_(asks.c.decided_at >= since, asks.c.send_by >= since)
        query = _SENT.where(among(connection, asks.c.address, self._locked), recent)
        for address, order_id, contact_id, account_id, decided_at, send_by, sent_at in connection.execute(query):
            self._sent[address].append(
                _Message(order_id, contact_id, account_id, self._decided_at(decided_at, send_by), sent_at)
            )

    def has_locked(self, address: str) -> bool:
        """Whether this transaction holds the lock of the address."""
        return address in self._locked

    def note(self, address: str, ask: Row[Any], now: datetime) -> None:
        """Count a message that this transaction sends."""
        decided_at = self._decided_at(ask.decided_at, ask.send_by)
        self._sent[address].append(_Message(ask.order_id, ask.contact_id, ask.account_id, decided_at, now))

    def rest(self, address: str, ask: Row[Any]) -> Rest | None:
        """Why the address may not be asked: it had a question that was decided less than its rest before or after.

        A reminder is none: it repeats a question.
        """
        if ask.purpose == "reminder":
            return None
        decided_at, rest = self._decided_at(ask.decided_at, ask.send_by), self._policy.contact_rest
        near = {sent.account_id for sent in self._others(address, ask) if abs(sent.decided_at - decided_at) < rest}
        if not near:
            return None
        return Rest.OWN_ACCOUNT if ask.account_id in near else Rest.OTHER_ACCOUNT

    def free_at(self, address: str, ask: Row[Any]) -> datetime | None:
        """When the daily cap lets the address be asked; None: now."""
        return address_rest.free_at([sent.sent_at for sent in self._sent[address]], self._policy, self._now)

    def _others(self, address: str, ask: Row[Any]) -> list[_Message]:
        same = (ask.order_id, ask.contact_id)
        return [sent for sent in self._sent[address] if (sent.order_id, sent.contact_id) != same]

    def _decided_at(self, decided_at: datetime, send_by: datetime | None) -> datetime:
        """When it was decided, or made due once more."""
        return decided_at if send_by is None else max(decided_at, send_by - self._policy.send_within)
