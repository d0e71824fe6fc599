"""The earlier questions that eligibility depends on: those to an account, and those to an address of any account.

Read in a few queries for a whole batch, and kept up to date with the decisions of the transaction.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, func, select

from pipeline.domain.asking.address_rest import DAY, AddressUse
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.asking.policy import Policy
from pipeline.domain.events.contract import ContactRole
from pipeline.store.db import locks
from pipeline.store.db.bulk import Row, among
from pipeline.store.people.erasure import erased_at
from pipeline.store.schema.asks import IS_QUESTION, asks

SHARED_WITHIN = timedelta(days=30)
"""How far back decisions of other accounts about an address are counted."""
CHANGED_WITHIN = timedelta(days=7)
"""How recent a decision at a contact's former address is, if the change counts as one shortly before completion."""

# Decided, and not ended unsent.
_IS_ASKED = and_(asks.c.reason.is_(None), asks.c.state != AskState.NOT_ASKED, IS_QUESTION)
_SINCE = asks.c.decided_at >= bindparam("since")
_ASKED_OF_ACCOUNT = select(asks.c.account_id, asks.c.contact_id, asks.c.decided_at, asks.c.role).where(
    _SINCE, _IS_ASKED
)
_ASKED_AT_ADDRESS = select(asks.c.address, asks.c.account_id, asks.c.decided_at).where(_SINCE, _IS_ASKED)
_ACCOUNTS_OF_ADDRESS = (
    select(asks.c.address, asks.c.account_id, func.max(asks.c.decided_at))
    .where(_SINCE)
    .group_by(asks.c.address, asks.c.account_id)
)
_ADDRESSES_OF_CONTACT = (
    select(asks.c.account_id, asks.c.contact_id, asks.c.address, func.max(asks.c.decided_at))
    .where(_SINCE, asks.c.address.is_not(None))
    .group_by(asks.c.account_id, asks.c.contact_id, asks.c.address)
)


class EarlierAsk(NamedTuple):
    """One question to a contact of an account: when it was decided, and their role then (None: not known)."""

    contact_id: str
    at: datetime
    role: ContactRole | None


@dataclass
class _Address:
    """What is known of one address."""

    uses: list[AddressUse] = field(default_factory=list)
    accounts: dict[str, datetime] = field(default_factory=dict)  # by account, the newest decision


class AskHistory:
    """The earlier asks of the accounts and addresses that a transaction decides about.

    Both are locked until it ends: two workers could otherwise both use the last ask of one of them.
    """

    def __init__(self, connection: Connection, policy: Policy) -> None:
        self._connection = connection
        self._policy = policy
        self._asked: dict[str, list[EarlierAsk]] = {}  # by account
        self._addresses: dict[str, _Address] = {}
        self._contacts: dict[tuple[str, str], dict[str, datetime]] = {}  # by account and contact: addresses, newest

    def load(self, accounts: Collection[str], addresses: Collection[str], now: datetime, new: Iterable[Row]) -> None:
        """Lock and read what is not read yet, as it is needed from `now` on. `new`: decisions not written yet."""
        rows = list(new)
        unknown = {account for account in accounts if account not in self._asked}
        if unknown:
            locks.lock(self._connection, "account", unknown)
            self._load_accounts(unknown, now)
        missing = {address for address in addresses if address not in self._addresses}
        if missing:
            locks.lock(self._connection, "address", missing)
            self._load_addresses(missing, now)
        for row in rows:
            self._add(row, unknown, missing)

    def add(self, row: Row) -> None:
        """Keep up with a decision."""
        self._add(row, self._asked, self._addresses)

    def withdraw(self, account_id: str, contact_id: str, address: str | None, at: datetime) -> None:
        """Forget an ask that ended without a message."""
        asked, known = self._asked.get(account_id), self._addresses.get(address or "")
        ended = next((ask for ask in asked or () if (ask.contact_id, ask.at) == (contact_id, at)), None)
        if asked is not None and ended is not None:
            asked.remove(ended)
        if known is not None and AddressUse(account_id, at) in known.uses:
            known.uses.remove(AddressUse(account_id, at))

    def asked_of(self, account_id: str) -> list[EarlierAsk]:
        """The recent asks of an account that was loaded."""
        return self._asked[account_id]

    def uses_of(self, address: str) -> list[AddressUse]:
        """The recent questions to an address."""
        return self._addresses[address].uses if address in self._addresses else []

    def is_shared(self, address: str, account_id: str, now: datetime) -> bool:
        """Whether decisions for another account were about this address."""
        known = self._addresses.get(address)
        return known is not None and any(
            other != account_id and now - at < SHARED_WITHIN for other, at in known.accounts.items()
        )

    def has_changed(self, address: str, account_id: str, contact_id: str, now: datetime) -> bool:
        """Whether the newest recent decision about this contact was about another address."""
        found = self._contacts.get((account_id, contact_id), {})
        recent = [(at, other) for other, at in found.items() if now - at < CHANGED_WITHIN]
        return bool(recent) and max(recent)[1] != address

    def _load_accounts(self, accounts: Collection[str], now: datetime) -> None:
        for account in accounts:
            self._asked[account] = []
        since = now - max(self._policy.longest_rest, self._policy.account_period)
        query = _ASKED_OF_ACCOUNT.where(among(self._connection, asks.c.account_id, accounts))
        erased = erased_at(self._connection, accounts)
        for account, contact, at, role in self._connection.execute(query, {"since": since}):
            if (account, contact) not in erased or at > erased[account, contact]:
                self._asked[account].append(EarlierAsk(contact, at, role))
        named = _ADDRESSES_OF_CONTACT.where(among(self._connection, asks.c.account_id, accounts))
        for account, contact, to, at in self._connection.execute(named, {"since": now - CHANGED_WITHIN}):
            self._contacts.setdefault((account, contact), {})[to] = at

    def _load_addresses(self, addresses: Collection[str], now: datetime) -> None:
        for address in addresses:
            self._addresses[address] = _Address()
        since, these = now - max(self._policy.contact_rest, DAY), among(self._connection, asks.c.address, addresses)
        for address, account, at in self._connection.execute(_ASKED_AT_ADDRESS.where(these), {"since": since}):
            self._addresses[address].uses.append(AddressUse(account, at))
        query = _ACCOUNTS_OF_ADDRESS.where(these)
        for address, account, at in self._connection.execute(query, {"since": now - SHARED_WITHIN}):
            self._addresses[address].accounts[account] = at

    def _add(self, row: Row, accounts: Collection[str], addresses: Collection[str]) -> None:
        account, contact, address, at = row["account_id"], row["contact_id"], row.get("address"), row["decided_at"]
        asked = row["reason"] is None
        if account in accounts:
            if asked:
                self._asked[account].append(EarlierAsk(contact, at, row.get("role")))
            if address is not None:
                self._contacts.setdefault((account, contact), {})[address] = at
        if address is not None and address in addresses:
            known = self._addresses[address]
            known.accounts[account] = at
            if asked:
                known.uses.append(AddressUse(account, at))
