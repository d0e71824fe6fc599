"""Tables of the journal: events, the outbox, what was handled, dead letters and named facts."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from pipeline.store.schema.types import WITHOUT_ROWID, Utc, metadata

# Every event in and out, once.
journal = Table(
    "journal",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("source", String(200), nullable=False),
    Column("id", String(500), nullable=False),  # of our own events: the order's id and a counter
    Column("type", String(100), nullable=False),
    Column("outgoing", Boolean, nullable=False),  # our own events: handled already, to be published
    Column("received_at", Utc, nullable=False),
    Column("payload", Text, nullable=False),  # words in it are sealed
    Column("content_digest", String(64)),  # vault.content_digest; null: our own, or from before there was this column
    UniqueConstraint("id", "source"),  # id first: it is the more selective one
)

# In a cluster (PostgreSQL), the events that a relay has yet to publish. There the sequence numbers come from the
# sequence `journal_seq`.
outbox = Table(
    "outbox",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("shard", SmallInteger, nullable=False),  # shared_journal.shard_of: events with one key share a shard
)

# In a cluster, the published events that workers have handled.
handled = Table(
    "handled",
    metadata,
    Column("seq", BigInteger, nullable=False),
    Column("part", String(1_300), nullable=False),  # "": the order; a segment's or the fleet's share of a pair
    PrimaryKeyConstraint("seq", "part"),
    **WITHOUT_ROWID,
)

# Named facts of an installation: the journal's head, the runner's position and clock, the frozen configuration.
state = Table(
    "state",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of topic, position and bytes: stored once
    Column("received_at", Utc, nullable=False),
    Column("topic", String(100), nullable=False),
    Column("position", String(500), nullable=False),
    Column("field", String(500), nullable=False),
    Column("reason", Text, nullable=False),  # quotes nothing of the event
    Column("raw", LargeBinary, nullable=False),  # sealed: it may contain personal data
)
