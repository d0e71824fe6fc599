"""The asks, the ask history and the opt-outs of one transaction, as processors read and change them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, bindparam, or_, select

from pipeline.domain.asking.ask_states import AskState, SendOutcome, before
from pipeline.domain.asking.eligibility import History
from pipeline.domain.asking.policy import Policy
from pipeline.domain.events.contract import FeedbackRequested
from pipeline.domain.orders.claims import Claim
from pipeline.store.asks.outcomes import THIS_ASK
from pipeline.store.db import locks
from pipeline.store.db.bulk import Row, among, among_rows, insert
from pipeline.store.people import opt_outs
from pipeline.store.people.opt_outs import OptOut
from pipeline.store.schema.asks import asks

_Key = tuple[str, ...]  # order, contact, purpose
# Built once: building such a statement for every decision would cost more than running it. An ask that is answered or
# has expired leaves nothing to do for a dispatcher.
_SET_STATE = {
    state: asks.update()
    .where(or_(*(asks.c.state == earlier for earlier in sorted(before(state)))))
    .values(state=state, wake_at=None)
    for state in (AskState.ANSWERED, AskState.EXPIRED)
}
_STATUS = select(*asks.primary_key, asks.c.state, asks.c.sending_at, asks.c.request, asks.c.outcome)
_STATUS_OF_ONE = _STATUS.where(*THIS_ASK)
_ASKED_SINCE = select(asks.c.account_id, asks.c.contact_id, asks.c.decided_at).where(
    asks.c.decided_at >= bindparam("since"),
    asks.c.reason.is_(None),
    asks.c.state != AskState.NOT_ASKED,  # decided, but never sent
)
_request = msgspec.json.Decoder(FeedbackRequested)


@dataclass(frozen=True)
class AskStatus:
    """The status of an ask as the dispatcher left it; `claim` is the one frozen when it was sent."""

    state: AskState
    sending_at: datetime | None
    claim: Claim | None
    outcome: SendOutcome | None

    @property
    def sent_on(self) -> tuple[datetime, Claim] | None:
        """When it was committed to be sent, and on which claim; None: it was certainly not sent."""
        if self.claim is None or self.sending_at is None or self.state in (AskState.DUE, AskState.NOT_ASKED):
            return None
        return self.sending_at, self.claim


class AskStore:
    """The asks of one transaction. Changes are written by `flush`, opt-outs by `flush_opt_outs`."""

    def __init__(self, connection: Connection, policy: Policy) -> None:
        self._connection = connection
        self._policy = policy
        self._new: list[Row] = []
        self._states: dict[AskState, list[_Key]] = {}
        self._statuses: dict[str, dict[_Key, AskStatus]] = {}  # by order, of the orders that were loaded
        self._asked: dict[str, list[tuple[str, datetime]]] = {}  # by account: contact and time of each ask
        self._opted_out: dict[str, bool] = {}
        self._new_opt_outs: dict[str, OptOut] = {}

    def add(self, row: Row) -> None:
        """Add a decision to ask or not to ask. `due_at`: a dispatcher sends the question then."""
        due_at = row.get("due_at")
        self._new.append(row | {"due_at": due_at, "wake_at": due_at})
        asked = self._asked.get(row["account_id"])
        if asked is not None and row["reason"] is None:
            asked.append((row["contact_id"], row["decided_at"]))

    def set_state(self, order_id: str, contact_id: str, purpose: str, state: AskState) -> None:
        """Move an ask to a final state, unless it is in a later one."""
        self._states.setdefault(state, []).append((order_id, contact_id, purpose))

    def load(self, order_ids: Collection[str]) -> None:
        """Read the asks of these orders in one query, and lock them: no dispatcher changes them meanwhile."""
        if not order_ids:
            return
        self._statuses.update((order_id, {}) for order_id in order_ids)
        query = (
            _STATUS.where(among(self._connection, asks.c.order_id, order_ids))
            .order_by(*asks.primary_key)
            .with_for_update()
        )
        for *key, state, sending_at, request, outcome in self._connection.execute(query):
            self._statuses[key[0]][tuple(key)] = _status(state, sending_at, request, outcome)

    def status_of(self, order_id: str, contact_id: str, purpose: str) -> AskStatus | None:
        """The status of an ask that was stored before this transaction; None: there is none."""
        if order_id in self._statuses:
            return self._statuses[order_id].get((order_id, contact_id, purpose))
        key = {"b_order_id": order_id, "b_contact_id": contact_id, "b_purpose": purpose}
        row = self._connection.execute(_STATUS_OF_ONE, key).first()
        return None if row is None else _status(row.state, row.sending_at, row.request, row.outcome)

    def opt_out(self, digests: Collection[str], at: datetime, source: str) -> None:
        """Record that these addresses want no messages."""
        for digest in digests:
            self._new_opt_outs.setdefault(digest, OptOut(at, source))
        self._opted_out.update(dict.fromkeys(digests, True))

    def history(self, account_id: str, digests: Collection[str], now: datetime) -> History:
        """What eligibility depends on: the earlier asks of an account, and which of these addresses opted out."""
        self.load_history([account_id], digests, now)
        asked = self._asked[account_id]
        last_asked: dict[str, datetime] = {}
        for contact_id, at in asked:
            last_asked[contact_id] = max(at, last_asked.get(contact_id, at))
        in_period = sum(at > now - self._policy.account_period for _, at in asked)
        return History(last_asked, in_period, frozenset(digest for digest in digests if self._opted_out[digest]))

    def load_history(self, accounts: Collection[str], digests: Collection[str], now: datetime) -> None:
        """Read in a few queries what `history` returns about these accounts and addresses from `now` on.

        The accounts are locked until the transaction ends: two workers could otherwise both use an account's last ask.
        """
        new = {account for account in accounts if account not in self._asked}
        if new:
            locks.lock(self._connection, "account", new)
            self._load_asked(new, now)
        unknown = [digest for digest in digests if digest not in self._opted_out]
        if unknown:
            found = opt_outs.opted_out(self._connection, unknown)
            self._opted_out.update((digest, digest in found) for digest in unknown)

    def flush(self) -> None:
        """Write the new asks and the changed states."""
        if self._new:
            insert(self._connection, asks, self._new)
            self._new = []
        for state, keys in self._states.items():
            self._connection.execute(
                _SET_STATE[state].where(among_rows(self._connection, list(asks.primary_key), keys))
            )

    def flush_opt_outs(self) -> None:
        """Write the new opt-outs."""
        if self._new_opt_outs:
            opt_outs.record(self._connection, self._new_opt_outs)

    def _load_asked(self, accounts: set[str], now: datetime) -> None:
        for account in accounts:
            self._asked[account] = []
        since = now - max(self._policy.contact_rest, self._policy.account_period)
        query = _ASKED_SINCE.where(among(self._connection, asks.c.account_id, accounts))
        for account, contact, at in self._connection.execute(query, {"since": since}):
            self._asked[account].append((contact, at))
        for row in self._new:
            if row["account_id"] in accounts and row["reason"] is None:
                self._asked[row["account_id"]].append((row["contact_id"], row["decided_at"]))


def _status(state: str, sending_at: datetime | None, request: str | None, outcome: str | None) -> AskStatus:
    claim = None if request is None else msgspec.convert(_request.decode(request).claim, Claim)
    return AskStatus(AskState(state), sending_at, claim, None if outcome is None else SendOutcome(outcome))
