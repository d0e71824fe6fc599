"""One transaction's worth of work: what processors read and change, written together or not at all."""

from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, bindparam, select

from pipeline.domain import divergence
from pipeline.domain.eligibility import History, Policy
from pipeline.domain.events import OWN_SOURCE, Event
from pipeline.domain.segments import Level
from pipeline.store import journal
from pipeline.store.bulk import Row, insert, insert_new
from pipeline.store.evidence import EvidenceStore
from pipeline.store.orders import OrderStore
from pipeline.store.tables import answers, asks, claims, opt_outs
from pipeline.store.timers import TimerStore

_SET_STATE = (
    asks.update()
    .where(
        asks.c.order_id == bindparam("b_order_id"),
        asks.c.contact_id == bindparam("b_contact_id"),
        asks.c.purpose == bindparam("b_purpose"),
    )
    .values(state=bindparam("b_state"))
)


@dataclass(frozen=True)
class Setup:
    """What processors are configured with: levels and budget frozen with the database, the policy as it is set now."""

    levels: tuple[Level, ...]
    alerts_a_year: float
    policy: Policy

    @cached_property
    def thresholds(self) -> Mapping[str, float]:
        """A, in days, for the segments of each level."""
        return {
            level.name: divergence.threshold(level.capacity, len(self.levels), self.alerts_a_year)
            for level in self.levels
        }


class UnitOfWork:
    """What one transaction reads and changes. Nothing is written before `flush`, or only what reads depend on."""

    def __init__(self, connection: Connection, setup: Setup, until: datetime) -> None:
        self.connection = connection
        self.setup = setup
        self.orders = OrderStore(connection, setup.levels)
        self.timers = TimerStore(connection, until)
        self.evidence = EvidenceStore(connection)
        self._emitted: deque[Event] = deque()
        self._entries: list[journal.Entry] = []
        self._rows: dict[Table, list[Row]] = defaultdict(list)
        self._ask_states: list[Row] = []
        self._asked: dict[str, list[tuple[str, datetime]]] = {}

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
        self._entries.append(journal.Entry(OWN_SOURCE, event_id, kind, True, now, text))

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
        """Append a decision to ask or not."""
        self._rows[asks].append(row)
        known = self._asked.get(row["account_id"])
        if known is not None and row["reason"] is None:
            known.append((row["contact_id"], row["decided_at"]))

    def set_ask_state(self, order_id: str, contact_id: str, purpose: str, state: str) -> None:
        """Move an ask on in its life."""
        self._ask_states.append(
            {"b_order_id": order_id, "b_contact_id": contact_id, "b_purpose": purpose, "b_state": state}
        )

    def opt_out(self, digests: Collection[str], at: datetime, source: str) -> None:
        """Remember that these addresses want no messages."""
        insert_new(self.connection, opt_outs, [{"digest": digest, "at": at, "source": source} for digest in digests])

    def history(self, account_id: str, digests: Collection[str], now: datetime) -> History:
        """What eligibility has to know of an account's people."""
        policy = self.setup.policy
        since = now - max(policy.contact_rest, policy.account_period)
        if account_id not in self._asked:
            query = select(asks.c.contact_id, asks.c.decided_at).where(
                asks.c.account_id == account_id, asks.c.decided_at >= since, asks.c.reason.is_(None)
            )
            stored: Sequence[Any] = self.connection.execute(query).all()
            pending = [
                (row["contact_id"], row["decided_at"])
                for row in self._rows[asks]
                if row["account_id"] == account_id and row["reason"] is None
            ]
            self._asked[account_id] = [*((row.contact_id, row.decided_at) for row in stored), *pending]
        asked = self._asked[account_id]
        last_asked: dict[str, datetime] = {}
        for contact_id, at in asked:
            last_asked[contact_id] = max(at, last_asked.get(contact_id, at))
        opted_out = self.connection.execute(select(opt_outs.c.digest).where(opt_outs.c.digest.in_(digests)))
        in_period = sum(at > now - policy.account_period for _, at in asked)
        return History(last_asked, in_period, frozenset(opted_out.scalars()))

    def flush(self) -> None:
        """Write everything; the caller commits."""
        self.orders.flush()
        for table, rows in self._rows.items():
            if rows:
                insert(self.connection, table, rows)
        self._rows.clear()
        if self._ask_states:
            self.connection.execute(_SET_STATE, self._ask_states)
        self.evidence.flush()
        self.timers.flush()
        journal.append(self.connection, self._entries)
