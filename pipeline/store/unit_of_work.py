"""One transaction's worth of work: what processors read and change, written together or not at all."""

from collections import defaultdict, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import msgspec
from sqlalchemy import Connection, Table, bindparam, or_, select

from pipeline.domain.asking import ask_states as life
from pipeline.domain.asking.eligibility import History
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection import baseline
from pipeline.domain.detection.segments import Level
from pipeline.domain.events.contract import OWN_SOURCE, Event, FeedbackRequested, key_of
from pipeline.domain.orders.claims import Claim
from pipeline.store.db import locks
from pipeline.store.db.bulk import Row, among, among_rows, insert, insert_new
from pipeline.store.db.engine import is_cluster
from pipeline.store.evidence.evidence import EvidenceStore
from pipeline.store.journal import journal
from pipeline.store.orders.orders import OrderStore
from pipeline.store.orders.timers import TimerStore
from pipeline.store.schema.tables import answers, asks, claims, opt_outs

AskKey = tuple[str, ...]  # order, contact, purpose
_ASK_NAMES = ("b_order_id", "b_contact_id", "b_purpose")
_THIS_ASK = [column == bindparam(name) for column, name in zip(asks.primary_key, _ASK_NAMES, strict=True)]
# No state is left for one of a lower rank. A dispatcher has nothing left to do for those that are answered or expired.
_SET_STATE = {
    state: asks.update()
    .where(or_(*(asks.c.state == earlier for earlier in sorted(life.before(state)))))
    .values(state=state, wake_at=None)
    for state in (life.State.ANSWERED, life.State.EXPIRED)
}
_LIVES = select(*asks.primary_key, asks.c.state, asks.c.sending_at, asks.c.request, asks.c.outcome)
_LIFE = _LIVES.where(*_THIS_ASK)
_request = msgspec.json.Decoder(FeedbackRequested)

# Built once: building them for every decision would cost more than the database.
_ASKED = select(asks.c.account_id, asks.c.contact_id, asks.c.decided_at).where(
    asks.c.decided_at >= bindparam("since"),
    asks.c.reason.is_(None),
    asks.c.state != life.State.NOT_ASKED,  # it was to be, and could not
)


@dataclass(frozen=True)
class Asked:
    """How an ask of ours stands, as the dispatcher left it; `claim` is the one frozen when it was sent."""

    state: life.State
    sending_at: datetime | None
    claim: Claim | None
    outcome: life.Outcome | None

    @property
    def put(self) -> tuple[datetime, Claim] | None:
        """When it was committed to be sent, and on which claim; None: it certainly did not go out."""
        if self.claim is None or self.sending_at is None or self.state in (life.State.DUE, life.State.NOT_ASKED):
            return None
        return self.sending_at, self.claim


@dataclass(frozen=True)
class Setup:
    """What processors are configured with: levels and budget frozen with the database, the policy as it is set now."""

    levels: tuple[Level, ...]
    alerts_a_year: float
    policy: Policy
    sending: bool = False  # whether questions are really sent; otherwise asking is done when it is decided

    @cached_property
    def thresholds(self) -> Mapping[str, float]:
        """A, in days, for the segments of each level."""
        return {
            level.name: baseline.threshold(level.capacity, len(self.levels), self.alerts_a_year)
            for level in self.levels
        }


class UnitOfWork:
    """What one transaction reads and changes. Nothing is written before `flush`, or only what reads depend on."""

    def __init__(self, connection: Connection, setup: Setup, timers: TimerStore) -> None:
        self.connection = connection
        self.setup = setup
        self.orders = OrderStore(connection, setup.levels)
        self.timers = timers
        self.evidence = EvidenceStore(connection)
        self._emitted: deque[Event] = deque()
        self._entries: list[journal.Entry] = []
        self._rows: dict[Table, list[Row]] = defaultdict(list)
        self._ask_states: dict[life.State, list[AskKey]] = {}
        self._lives: dict[str, dict[AskKey, Asked]] = {}  # by order, of those that were loaded
        self._opting_out: dict[str, Row] = {}
        self._asked: dict[str, list[tuple[str, datetime]]] = {}
        self._opted_out: dict[str, bool] = {}

    def emit(self, kind: str, event_id: str, now: datetime, data: msgspec.Struct) -> None:
        """Tell others, and our own processors behind this one, that something happened."""
        payload = {
            "specversion": "1.0",
            "id": event_id,
            "source": OWN_SOURCE,
            "type": kind,
            "time": now,
            "data": data,
        }
        self._emitted.append(Event(OWN_SOURCE, event_id, kind, now, now, False, data))
        text = msgspec.json.encode(payload).decode()
        self._entries.append(journal.Entry(OWN_SOURCE, event_id, kind, True, now, text, key_of(data)))

    def next_emitted(self) -> Event | None:
        """The oldest event emitted and not yet handed out."""
        return self._emitted.popleft() if self._emitted else None

    def record_claim(self, row: Row) -> None:
        """Append a revision of a claim."""
        self._rows[claims].append(row)

    def record_answer(self, row: Row) -> None:
        """Append an answer."""
        self._rows[answers].append(row)

    def record_ask(self, row: Row) -> None:
        """Append a decision to ask or not. `due_at`: a dispatcher is to send it then."""
        due_at = row.get("due_at")
        self._rows[asks].append(row | {"due_at": due_at, "wake_at": due_at})
        known = self._asked.get(row["account_id"])
        if known is not None and row["reason"] is None:
            known.append((row["contact_id"], row["decided_at"]))

    def set_ask_state(self, order_id: str, contact_id: str, purpose: str, state: life.State) -> None:
        """Move an ask to its end, unless it stands at a later one."""
        self._ask_states.setdefault(state, []).append((order_id, contact_id, purpose))

    def load_asks(self, order_ids: Collection[str]) -> None:
        """Read how the asks of these orders stand, at once; no dispatcher touches them before this transaction ends."""
        if not order_ids:
            return
        self._lives.update((order_id, {}) for order_id in order_ids)
        query = (
            _LIVES.where(among(self.connection, asks.c.order_id, order_ids))
            .order_by(*asks.primary_key)
            .with_for_update()
        )
        for *key, state, sending_at, request, outcome in self.connection.execute(query):
            self._lives[key[0]][tuple(key)] = _asked(state, sending_at, request, outcome)

    def ask_of(self, order_id: str, contact_id: str, purpose: str) -> Asked | None:
        """How an ask that was stored before this transaction stands."""
        key = (order_id, contact_id, purpose)
        if order_id in self._lives:
            return self._lives[order_id].get(key)
        row = self.connection.execute(_LIFE, dict(zip(_ASK_NAMES, key, strict=True))).first()
        return None if row is None else _asked(*row[len(key) :])

    def opt_out(self, digests: Collection[str], at: datetime, source: str) -> None:
        """Remember that these addresses want no messages."""
        for digest in digests:
            self._opting_out.setdefault(digest, {"digest": digest, "at": at, "source": source})
        self._opted_out.update(dict.fromkeys(digests, True))

    def history(self, account_id: str, digests: Collection[str], now: datetime) -> History:
        """What eligibility has to know of an account's people."""
        policy = self.setup.policy
        self.recall([account_id], digests, now)
        asked = self._asked[account_id]
        last_asked: dict[str, datetime] = {}
        for contact_id, at in asked:
            last_asked[contact_id] = max(at, last_asked.get(contact_id, at))
        in_period = sum(at > now - policy.account_period for _, at in asked)
        return History(last_asked, in_period, frozenset(digest for digest in digests if self._opted_out[digest]))

    def recall(self, accounts: Collection[str], digests: Collection[str], now: datetime) -> None:
        """Read what `history` will be asked about these accounts and addresses, at once, from `now` on.

        In a cluster nobody else asks these accounts until this transaction ends, or both would ask the last one.
        """
        policy = self.setup.policy
        new = {account for account in accounts if account not in self._asked}
        if new:
            if is_cluster(self.connection):
                locks.hold(self.connection, "account", new)
            for account in new:
                self._asked[account] = []
            since = now - max(policy.contact_rest, policy.account_period)
            for account, contact, at in self.connection.execute(
                _ASKED.where(among(self.connection, asks.c.account_id, new)), {"since": since}
            ):
                self._asked[account].append((contact, at))
            for row in self._rows[asks]:
                if row["account_id"] in new and row["reason"] is None:
                    self._asked[row["account_id"]].append((row["contact_id"], row["decided_at"]))
        unknown = [digest for digest in digests if digest not in self._opted_out]
        if unknown:
            query = select(opt_outs.c.digest).where(among(self.connection, opt_outs.c.digest, unknown))
            found = set(self.connection.execute(query).scalars())
            self._opted_out.update((digest, digest in found) for digest in unknown)

    def flush(self) -> None:
        """Write everything; the caller commits."""
        self.orders.flush()
        for table, rows in self._rows.items():
            if rows:
                insert(self.connection, table, rows)
        self._rows.clear()
        for state, keys in self._ask_states.items():
            self.connection.execute(_SET_STATE[state].where(among_rows(self.connection, list(asks.primary_key), keys)))
        self.evidence.flush()
        self.timers.flush()
        journal.append(self.connection, self._entries)
        insert_new(self.connection, opt_outs, [self._opting_out[digest] for digest in sorted(self._opting_out)])
        self.orders.flush_figures()


def _asked(state: str, sending_at: datetime | None, request: str | None, outcome: str | None) -> Asked:
    claim = None if request is None else msgspec.convert(_request.decode(request).claim, Claim)
    return Asked(life.State(state), sending_at, claim, None if outcome is None else life.Outcome(outcome))
