"""The asks, the ask history and the opt-outs of one transaction, as processors read and change them."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
from sqlalchemy import Connection, and_, func, or_, select

from pipeline.domain.asking.ask_states import REFUSED_FOR_GOOD, REOPENED, AskState, SendOutcome, before
from pipeline.domain.asking.channels import Channel, addresses_of
from pipeline.domain.asking.eligibility import History
from pipeline.domain.asking.policy import Policy
from pipeline.domain.events.contract import Contact, FeedbackRequested
from pipeline.domain.orders.claims import Claim
from pipeline.store.asks.ask_history import AskHistory
from pipeline.store.asks.outcomes import THIS_ASK, AskKey, change, parameters
from pipeline.store.db.bulk import Row, among, among_rows, insert
from pipeline.store.people import contact_opt_outs, opt_outs, undeliverable
from pipeline.store.people.contact_opt_outs import ContactKey, ContactOptChange
from pipeline.store.people.opt_outs import OptChange
from pipeline.store.schema.asks import asks, refusals

_Key = tuple[str, ...]  # order, contact, purpose
# Built once: building such a statement for every decision would cost more than running it. An ask that is answered or
# has expired leaves nothing to do for a dispatcher.
_SET_STATE = {
    state: asks.update()
    .where(or_(*(asks.c.state == earlier for earlier in sorted(before(state)))))
    .values(state=state, wake_at=None)
    for state in (AskState.ANSWERED, AskState.EXPIRED)
}
_CHANNEL = func.coalesce(asks.c.fallback, asks.c.channel).label("now_on")
_STATUS = select(
    *asks.primary_key,
    asks.c.state,
    asks.c.sending_at,
    asks.c.request,
    asks.c.outcome,
    _CHANNEL,
    asks.c.delivered_at.is_not(None).label("delivered"),
)
_STATUS_OF_ONE = _STATUS.where(*THIS_ASK)
_DECISION = select(asks.c.account_id, asks.c.decided_at, asks.c.reason, asks.c.address).where(*THIS_ASK)
_IS_UNSENT = or_(
    asks.c.state == AskState.DUE, and_(asks.c.state == AskState.NOT_ASKED, asks.c.outcome.in_(sorted(REOPENED)))
)
_request = msgspec.json.Decoder(FeedbackRequested)


@dataclass(frozen=True)
class AskStatus:
    """The status of an ask as the dispatcher left it; `claim` is the one frozen when it was sent."""

    state: AskState
    sending_at: datetime | None
    claim: Claim | None
    outcome: SendOutcome | None
    channel: str | None = None  # that it is or was sent on
    delivered: bool = False  # whether its provider reported that it arrived

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
        self.earlier = AskHistory(connection, policy)
        self._opted_out: dict[str, bool] = {}
        self._failed_at: dict[str, datetime | None] = {}  # by address, if nobody can be reached there
        self._new_opt_outs: list[OptChange] = []
        self._silent: dict[ContactKey, bool] = {}  # contacts who were looked up: whether they opted out
        self._new_silent: list[ContactOptChange] = []

    def add(self, row: Row) -> None:
        """Add the first decision to ask or not to ask. `due_at`: a dispatcher sends the question then."""
        self._new.append(_with_times(row))
        if row.get("response") is None:
            self.earlier.add(row)

    def respond_again(self, row: Row, send_by: datetime) -> None:
        """Make a response that ended without a message due once more, until `send_by`, with the text of this row."""
        key = AskKey(row["order_id"], row["contact_id"], row["purpose"])
        self._write_for(key)
        values = {"state": AskState.DUE, "outcome": None, "code": None, "send_by": send_by, "fallback": row["channel"]}
        values |= {name: row[name] for name in ("due_at", "address", "response")} | {"wake_at": row["due_at"]}
        change(self._connection, key, values, asks.c.state == AskState.NOT_ASKED)

    def decide_again(self, row: Row, n: int, send_by: datetime) -> None:
        """Add a decision that follows the `n`-th refusal of this contact for this purpose.

        The refusal is kept in `refusals`, and the row in `asks` becomes the new decision. If that row is an ask that
        ended unsent, it becomes due once more, until `send_by`; a new refusal does not change it.
        """
        key = AskKey(row["order_id"], row["contact_id"], row["purpose"])
        self._write_for(key)
        stored = self._connection.execute(_DECISION, parameters(key)).one()
        if stored.reason is not None:
            insert(self._connection, refusals, [_refusal({**row, **stored._mapping}, n)])
            change(self._connection, key, _with_times(row))
        elif row["reason"] is None:
            self.reschedule(key, row["due_at"], send_by)
        else:
            insert(self._connection, refusals, [_refusal(row, n + 1)])
        self.earlier.add(row)

    def reschedule(self, key: AskKey, due_at: datetime, send_by: datetime) -> None:
        """Make an ask due at that time, unless a message may have been sent."""
        self._write_for(key)
        values = {"state": AskState.DUE, "outcome": None, "due_at": due_at, "wake_at": due_at, "send_by": send_by}
        change(self._connection, key, values, _IS_UNSENT)

    def move(self, key: AskKey, channel: Channel, to: str | None, due_at: datetime, send_by: datetime) -> None:
        """Make an ask due on another channel, because the provider refused it for good: nothing was sent."""
        self._write_for(key)
        values = {"state": AskState.DUE, "outcome": None, "due_at": due_at, "wake_at": due_at, "send_by": send_by}
        refused = asks.c.state == AskState.NOT_ASKED, asks.c.outcome.in_(sorted(REFUSED_FOR_GOOD))
        change(self._connection, key, values | {"fallback": channel.name, "address": to}, *refused)

    def withdraw(self, key: AskKey) -> bool:
        """End a due ask whose delivery was taken back. False: it may be being sent just now."""
        self._write_for(key)
        values = {"state": AskState.NOT_ASKED, "outcome": SendOutcome.TAKEN_BACK, "wake_at": None}
        if not change(self._connection, key, values, asks.c.state == AskState.DUE):
            return False
        row = self._connection.execute(_DECISION, parameters(key)).one()
        self.earlier.withdraw(row.account_id, key.contact_id, row.address, row.decided_at)
        return True

    def _write_for(self, key: AskKey) -> None:
        """Write what the change of a stored ask depends on, and forget its status."""
        self._statuses.pop(key.order_id, None)
        if any((row["order_id"], row["contact_id"], row["purpose"]) == key for row in self._new):
            self._write_new()

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
        for order_id, contact_id, purpose, *status in self._connection.execute(query):
            self._statuses[order_id][order_id, contact_id, purpose] = _status(*status)

    def status_of(self, order_id: str, contact_id: str, purpose: str) -> AskStatus | None:
        """The status of an ask that was stored before this transaction; None: there is none."""
        if order_id in self._statuses:
            return self._statuses[order_id].get((order_id, contact_id, purpose))
        key = {"b_order_id": order_id, "b_contact_id": contact_id, "b_purpose": purpose}
        row = self._connection.execute(_STATUS_OF_ONE, key).first()
        if row is None:
            return None
        _, _, _, *status = row
        return _status(*status)

    def opt_out(self, contact: ContactKey, digests: Collection[str], at: datetime, source: str, event_id: str) -> None:
        """Record that a contact with these addresses wants no messages, as an event says. It changes them once."""
        self._new_opt_outs.extend(OptChange(digest, source, event_id, True, at) for digest in digests)
        self._opted_out.update(dict.fromkeys(digests, True))
        self._new_silent.append(ContactOptChange(*contact, source, event_id, True, at))
        self._silent[contact] = True

    def load_silent(self, contacts: Mapping[ContactKey, Collection[str]]) -> None:
        """Read which of these contacts opted out, with the digests of their addresses, in a few queries for all.

        An opt-out from an address that became known before its contact is theirs from now on.
        """
        unknown = {contact: theirs for contact, theirs in contacts.items() if contact not in self._silent}
        if unknown:
            inherited = contact_opt_outs.inherited(self._connection, unknown)
            self._new_silent.extend(inherited)
            found = contact_opt_outs.opted_out(self._connection, [*unknown], inherited)
            self._silent.update((contact, contact in found) for contact in unknown)

    def history(self, account_id: str, addresses: Collection[str], digests: Collection[str], now: datetime) -> History:
        """What eligibility depends on: the earlier asks of an account and of these addresses, and which opted out."""
        self.load_history([account_id], addresses, digests, now)
        asked = self.earlier.asked_of(account_id)
        last_asked: dict[str, datetime] = {}
        for contact_id, at, _ in asked:
            last_asked[contact_id] = max(at, last_asked.get(contact_id, at))
        in_period = [ask.role for ask in asked if ask.at > now - self._policy.account_period]
        by_role = Counter(role for role in in_period if role is not None)
        uses = {address: self.earlier.uses_of(address) for address in addresses}
        known = self._barriers(account_id, digests, now)
        return replace(
            known,
            last_asked=last_asked,
            asked_in_period=len(in_period),
            address_uses=uses,
            asked_by_role=by_role,
        )

    def barriers(self, account_id: str, contact: Contact, now: datetime) -> History:
        """What may keep a message from one contact, without any earlier questions, so that nothing is locked."""
        digests = addresses_of(contact)
        self.load_silent({(account_id, contact.id): digests})
        self._load_barriers(digests)
        return self._barriers(account_id, digests, now)

    def _barriers(self, account_id: str, digests: Collection[str], now: datetime) -> History:
        stopped = frozenset(digest for digest in digests if self._opted_out[digest])
        since = now - self._policy.undeliverable_rest
        unreachable = frozenset(digest for digest in digests if (self._failed_at[digest] or since) > since)
        silent = frozenset(
            contact for (account, contact), is_silent in self._silent.items() if is_silent and account == account_id
        )
        return History({}, 0, stopped, undeliverable=unreachable, silent=silent)

    def load_history(
        self, accounts: Collection[str], addresses: Collection[str], digests: Collection[str], now: datetime
    ) -> None:
        """Read in a few queries what `history` returns about these accounts and addresses from `now` on.

        The accounts and `addresses` are locked until the transaction ends. `digests`: addresses whose opt-outs count.
        """
        self.earlier.load(accounts, addresses, now, self._new)
        self._load_barriers(digests)

    def _load_barriers(self, digests: Collection[str]) -> None:
        unknown = [digest for digest in digests if digest not in self._opted_out]
        if unknown:
            found = opt_outs.opted_out(self._connection, unknown)
            self._opted_out.update((digest, digest in found) for digest in unknown)
            failed_at = undeliverable.failed_at(self._connection, unknown)
            self._failed_at.update((digest, failed_at.get(digest)) for digest in unknown)

    def flush(self) -> None:
        """Write the new asks and the changed states."""
        self._write_new()
        for state, keys in self._states.items():
            self._connection.execute(
                _SET_STATE[state].where(among_rows(self._connection, list(asks.primary_key), keys))
            )

    def _write_new(self) -> None:
        insert(self._connection, asks, self._new)
        self._new = []

    def flush_opt_outs(self) -> None:
        """Write the new opt-outs."""
        opt_outs.record(self._connection, self._new_opt_outs)
        contact_opt_outs.record_contacts(self._connection, self._new_silent)
        self._new_opt_outs, self._new_silent = [], []


def _with_times(row: Row) -> Row:
    due_at = row.get("due_at")
    optional = {name: row.get(name) for name in ("address", "role", "response")}
    return row | {"due_at": due_at, "wake_at": due_at} | optional


def _refusal(decision: Row, n: int) -> Row:
    kept = ("order_id", "contact_id", "purpose", "account_id", "decided_at", "reason")
    return {name: decision[name] for name in kept} | {"n": n}


def _status(
    state: str,
    sending_at: datetime | None,
    request: str | None,
    outcome: str | None,
    channel: str | None,
    delivered: bool,
) -> AskStatus:
    claim = None if request is None else msgspec.convert(_request.decode(request).claim, Claim)
    ended = None if outcome is None else SendOutcome(outcome)
    return AskStatus(AskState(state), sending_at, claim, ended, channel, bool(delivered))
