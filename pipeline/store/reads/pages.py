"""What the internal pages read: the newest words, all of one order, how far the journal is. By key, never by scan."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Index, func, literal, select, text

from pipeline.domain.asking.ask_states import State
from pipeline.domain.events.contract import OWN_SOURCE, FulfilmentCompared
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts
from pipeline.domain.orders.order import Order
from pipeline.store.asks.conversations import inbound_messages
from pipeline.store.db.engine import is_cluster
from pipeline.store.journal import journal
from pipeline.store.schema.tables import answers, asks, claims, orders, rollups, state
from pipeline.store.schema.tables import journal as journal_table

POSITION = "runner.position"  # consumers.runner keeps it: the last event processed
MOST_UNRESOLVED = 1_000  # so many are a fault, whatever their number
MOST_PAIRS = 50  # tellings of one order's pair that are read back; nobody answers that often

_WORDED = answers.c.comment.is_not(None)
Index(
    "answers_with_words",
    answers.c.received_at,
    answers.c.source,
    answers.c.event_id,
    sqlite_where=_WORDED,
    postgresql_where=_WORDED,
)

# In the query as it stands in the index, or SQLite would not use that.
_UNRESOLVED = asks.c.state == literal(str(State.UNRESOLVED), literal_execute=True)
Index("asks_unresolved", asks.c.sending_at, sqlite_where=_UNRESOLVED, postgresql_where=_UNRESOLVED)

_facts = msgspec.json.Decoder(Facts)
_dialogue = msgspec.json.Decoder(Dialogue)


class _Payload(msgspec.Struct):
    data: FulfilmentCompared


_compared = msgspec.json.Decoder(_Payload)


class Version(NamedTuple):
    """How far the journal and its processing are: as long as neither moves, no figure does."""

    head: int
    processed: int


class Unresolved(NamedTuple):
    """The questions of which nobody found out whether they were sent: how many, about how many orders, the newest."""

    questions: int
    of_orders: int
    newest: tuple[str, ...]


class StoredAnswer(NamedTuple):
    """One answer with its words, as it was received."""

    order_id: str
    contact_id: str
    received_at: datetime
    answered_at: datetime | None
    channel: str
    arrival: str | None
    arrived_at: datetime | None
    complete: bool | None
    condition: str  # names joined by commas
    score: int | None
    scale: int | None
    comment: str | None


class StoredAsk(NamedTuple):
    """One decision to ask or not, and what became of it; `reason` None: to be asked."""

    contact_id: str
    purpose: str
    decided_at: datetime
    reason: str | None
    channel: str | None
    state: str
    due_at: datetime | None
    attempt: int
    sent_at: datetime | None
    delivered_at: datetime | None
    outcome: str | None
    code: int | None


class StoredClaim(NamedTuple):
    """One revision of the claim, and the event that made it."""

    revision: int
    recorded_at: datetime
    source: str
    event_id: str
    claim: Claim


class StoredText(NamedTuple):
    """One text message about the order that came in; what it said is sealed, and told by the answer it became."""

    received_at: datetime
    contact_id: str | None
    outcome: str
    reply: str | None


class StoredPair(NamedTuple):
    """The pair as it was told at one time."""

    told_at: datetime
    verdict: str


class Record(NamedTuple):
    """Everything that is stored of one order, each list in the order of time."""

    order: Order
    claims: list[StoredClaim]
    asks: list[StoredAsk]
    answers: list[StoredAnswer]
    texts: list[StoredText]
    pairs: list[StoredPair]


_ANSWER = [answers.c[name] for name in StoredAnswer._fields]


_CLUSTER_VERSION = text(
    "SELECT last_value, CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) FROM journal_seq"
)


def version(connection: Connection) -> Version:
    """How far the journal is: two rows by their key.

    In a cluster nobody counts what is processed; there it is the oldest transaction that is still on its way.
    """
    if is_cluster(connection):
        return Version(*connection.execute(_CLUSTER_VERSION).one())
    query = select(state.c.name, state.c.value).where(state.c.name.in_([journal.HEAD, POSITION]))
    found = {name: int(value) for name, value in connection.execute(query)}
    return Version(found.get(journal.HEAD, 0), found.get(POSITION, 0))


def verbatims(connection: Connection, limit: int) -> list[StoredAnswer]:
    """The newest answers with words, newest first; read along the index on exactly those."""
    newest = answers.c.received_at.desc(), answers.c.source.desc(), answers.c.event_id.desc()
    query = select(*_ANSWER).where(_WORDED).order_by(*newest).limit(limit)
    return [StoredAnswer(*row) for row in connection.execute(query)]


def unresolved(connection: Connection, since: datetime, limit: int) -> Unresolved:
    """The questions committed to be sent since then that are unresolved; read along the index on exactly those.

    At most `MOST_UNRESOLVED` are counted; of their orders `limit` are named.
    """
    query = select(asks.c.order_id).where(_UNRESOLVED, asks.c.sending_at >= since)
    newest_first = asks.c.sending_at.desc(), asks.c.order_id
    found = connection.execute(query.order_by(*newest_first).limit(MOST_UNRESOLVED)).scalars().all()
    concerned = list(dict.fromkeys(found))
    return Unresolved(len(found), len(concerned), tuple(concerned[:limit]))


def load_orders(connection: Connection, order_ids: Collection[str]) -> dict[str, Order]:
    """These orders, those that are known."""
    query = select(orders.c.order_id, orders.c.facts, orders.c.dialogue)
    rows = connection.execute(query.where(orders.c.order_id.in_(set(order_ids))))
    return {
        order_id: Order(order_id, _facts.decode(facts), _dialogue.decode(dialogue))
        for order_id, facts, dialogue in rows
    }


def record(connection: Connection, order_id: str) -> Record | None:
    """One order and everything about it; None if nothing was ever heard of it."""
    order = load_orders(connection, [order_id]).get(order_id)
    if order is None:
        return None
    decided = select(*(asks.c[name] for name in StoredAsk._fields)).where(asks.c.order_id == order_id)
    said = select(*_ANSWER).where(answers.c.order_id == order_id)
    heard = select(*(inbound_messages.c[name] for name in StoredText._fields)).where(
        inbound_messages.c.order_id == order_id
    )
    return Record(
        order,
        _claims(connection, order_id),
        [StoredAsk(*row) for row in connection.execute(decided.order_by(asks.c.decided_at, asks.c.contact_id))],
        [StoredAnswer(*row) for row in connection.execute(said.order_by(answers.c.received_at, answers.c.event_id))],
        [StoredText(*row) for row in connection.execute(heard.order_by(inbound_messages.c.received_at))],
        _pairs(connection, order),
    )


def segment_names(connection: Connection, dimension: str) -> list[str]:
    """The values that a level's orders carry. Jumps from value to value, however many days each has."""
    first = select(func.min(rollups.c.value).label("value")).where(rollups.c.dimension == dimension)
    names = first.cte("names", recursive=True)
    following = select(func.min(rollups.c.value)).where(
        rollups.c.dimension == dimension, rollups.c.value > names.c.value
    )
    names = names.union_all(select(following.scalar_subquery()).where(names.c.value.is_not(None)))
    return list(connection.execute(select(names.c.value).where(names.c.value.is_not(None))).scalars())


def _claims(connection: Connection, order_id: str) -> list[StoredClaim]:
    columns = [claims.c[name] for name in ("revision", "recorded_at", "source", "event_id", *Claim.__struct_fields__)]
    query = select(*columns).where(claims.c.order_id == order_id).order_by(claims.c.revision)
    return [
        StoredClaim(revision, recorded_at, source, event_id, Claim(*claim))
        for revision, recorded_at, source, event_id, *claim in connection.execute(query)
    ]


def _pairs(connection: Connection, order: Order) -> list[StoredPair]:
    """The order's pair each time it was told: our own events, found by the ids that we gave them."""
    last = order.dialogue.compared
    ids = [f"{order.order_id}:{n}" for n in range(max(last - MOST_PAIRS, 0) + 1, last + 1)]
    return [StoredPair(told_at, _compared.decode(text).data.verdict) for told_at, text in _own(connection, ids)]


def _own(connection: Connection, ids: Sequence[str]) -> list[tuple[datetime, str]]:
    query = (
        select(journal_table.c.received_at, journal_table.c.payload)
        .where(journal_table.c.id.in_(ids), journal_table.c.source == OWN_SOURCE)
        .order_by(journal_table.c.seq)
    )
    return [(received_at, payload) for received_at, payload in connection.execute(query)]
