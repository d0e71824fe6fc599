"""Every table. The migrations in `migrations/` create them; a test holds the two together.

Instants are UTC; days are ordinals (`date.toordinal`). Answers, claims, asks and the journal are append-only: triggers
made by the migrations refuse updates and deletes of what was recorded.
"""

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator, TypeEngine


def utc_text(value: datetime | None) -> str | None:
    """An instant as SQLite holds it."""
    if value is None:
        return None
    moment = value if value.tzinfo is UTC else value.astimezone(UTC)
    return moment.isoformat(" ", "microseconds")


class Utc(TypeDecorator[datetime]):
    """An aware instant: `timestamptz` on PostgreSQL, text of one length in UTC on SQLite, which sorts as time does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text where the database knows no zones."""
        return dialect.type_descriptor(String(32) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Store UTC."""
        return utc_text(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Hand out UTC."""
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return cast(datetime, moment).astimezone(UTC)


metadata = MetaData()
_KEYED: dict[str, Any] = {
    "sqlite_with_rowid": False
}  # a table that is its own primary key index; good for short rows only

# Every event in and out, once.
journal = Table(
    "journal",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("source", String(200), nullable=False),
    Column("id", String(500), nullable=False),  # ours are an order's id and a counter
    Column("type", String(100), nullable=False),
    Column("outgoing", Boolean, nullable=False),  # our own events: already handled, to be told to others
    Column("received_at", Utc, nullable=False),
    Column("payload", Text, nullable=False),
    UniqueConstraint("id", "source"),  # id first: it is what tells events apart
)

# The places of the journal that a relay has still to publish, in a cluster (PostgreSQL). There they come from the
# sequence `journal_seq`.
outbox = Table(
    "outbox",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("shard", SmallInteger, nullable=False),  # journal.shard_of: what shares a key shares a shard
)

# What of the journal the workers have handled, as it came back to them.
handled = Table(
    "handled",
    metadata,
    Column("seq", BigInteger, nullable=False),
    Column("part", String(1_300), nullable=False),  # "": the order; a segment's or the fleet's share of a pair
    PrimaryKeyConstraint("seq", "part"),
    **_KEYED,
)

# Small named facts of this installation: the journal's head, the runner's position and clock, the frozen configuration.
state = Table(
    "state",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of topic, position and bytes: seen twice, kept once
    Column("received_at", Utc, nullable=False),
    Column("topic", String(100), nullable=False),
    Column("position", String(500), nullable=False),
    Column("field", String(500), nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),  # sealed: it may hold anything
)

orders = Table(
    "orders",
    metadata,
    Column("order_id", String(200), primary_key=True),
    Column("facts", Text, nullable=False),  # domain.facts.Facts as JSON
    Column("dialogue", Text, nullable=False),  # domain.dialogue.Dialogue as JSON
    Column("counted", Text, nullable=False),  # what of it stands in the rollups: places and counters, as JSON
)

claims = Table(
    "claims",
    metadata,
    Column("order_id", String(200), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("recorded_at", Utc, nullable=False),
    Column("source", String(200), nullable=False),  # the event that changed the claim
    Column("event_id", String(500), nullable=False),
    Column("delivered_at", Utc),
    Column("on_time_first", Boolean),
    Column("on_time_latest", Boolean),
    Column("on_time_requested", Boolean),
    Column("in_full", Boolean),
    PrimaryKeyConstraint("order_id", "revision"),
    **_KEYED,
)

# Every decision to ask or not. The decision is final; what follows `state` is the ask's life (domain.asks).
asks = Table(
    "asks",
    metadata,
    Column("order_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("purpose", String(20), nullable=False),
    Column("account_id", String(200), nullable=False),
    Column("decided_at", Utc, nullable=False),
    Column("reason", String(40)),  # eligibility.Reason; null: asked
    Column("channel", String(100)),
    Column("state", String(20), nullable=False),  # domain.asks.State
    Column("due_at", Utc),  # null: somebody else sends it, or nobody
    Column("wake_at", Utc),  # when a dispatcher has to look at it again; null: never
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("owner", String(100)),  # the dispatcher that committed to send it
    Column("sending_at", Utc),  # when it did
    Column("request", Text),  # what was committed to be asked: FeedbackRequested as JSON, the frozen claim in it
    Column("recipient", String(64)),  # digest of the address it went to
    Column("form_token_hash", String(64)),  # SHA-256 in hexadecimal of the link's token
    Column("callback_token_hash", String(64)),  # the same of the status callback's
    Column("provider_id", String(100)),
    Column("outcome", String(20)),  # domain.asks.Outcome of the last attempt
    Column("code", Integer),  # the provider's, of a rejection or a failed delivery
    Column("sent_at", Utc),  # when we knew that the provider had it
    Column("delivered_at", Utc),  # when we knew that the phone had it
    PrimaryKeyConstraint("order_id", "contact_id", "purpose"),
    Index("asks_by_account", "account_id", "decided_at"),
    Index("asks_by_wake_at", "wake_at"),
    Index("asks_by_form_token", "form_token_hash", unique=True),
    Index("asks_by_callback_token", "callback_token_hash", unique=True),
    Index("asks_by_recipient", "recipient"),
    **_KEYED,
)

# What the demo's phones show: messages that never left the machine. Not for real people: the text is kept readable.
phone_messages = Table(
    "phone_messages",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("at", Utc, nullable=False),
    Column("incoming", Boolean, nullable=False),  # a reply, towards us
    Column("number", String(40), nullable=False),
    Column("account_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("order_id", String(200), nullable=False),
    Column("link_hash", String(64)),
    Column("body", Text, nullable=False),
    Index("phone_messages_by_number", "number", "at"),
)

answers = Table(
    "answers",
    metadata,
    Column("source", String(200), nullable=False),
    Column("event_id", String(500), nullable=False),
    Column("order_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("answered_at", Utc),
    Column("channel", String(100), nullable=False),
    Column("arrival", String(20)),
    Column("arrived_at", Utc),
    Column("complete", Boolean),
    Column("condition", String(100), nullable=False),
    Column("score", SmallInteger),
    Column("scale", SmallInteger),
    Column("comment", Text),
    PrimaryKeyConstraint("source", "event_id"),
    Index("answers_by_order", "order_id"),
)

# One person at one account. Their addresses are encrypted with a key of their own, itself wrapped by the master key,
# and found by keyed digests.
people = Table(
    "people",
    metadata,
    Column("account_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("said_at", Utc, nullable=False),  # time of the event these come from: an older one changes nothing
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("name", LargeBinary),
    Column("phone", LargeBinary),
    Column("email", LargeBinary),
    Column("phone_digest", String(64)),
    Column("email_digest", String(64)),
    PrimaryKeyConstraint("account_id", "contact_id"),
    Index("people_by_phone", "phone_digest"),
    Index("people_by_email", "email_digest"),
)

opt_outs = Table(
    "opt_outs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("at", Utc, nullable=False),
    Column("source", String(200), nullable=False),
    **_KEYED,
)

# Work that becomes due: `kind` is consumers.timers' (missing_scan, expiry).
timers = Table(
    "timers",
    metadata,
    Column("kind", String(20), nullable=False),
    Column("order_id", String(200), nullable=False),
    Column("subject", String(250), nullable=False),
    Column("due_at", Utc, nullable=False),
    PrimaryKeyConstraint("kind", "order_id", "subject"),
    Index("timers_due", "due_at"),
    **_KEYED,
)

# The figures: counters (domain.counts) per segment and day, added to and never recomputed. The fleet is ("", "").
rollups = Table(
    "rollups",
    metadata,
    Column("dimension", String(200), nullable=False),
    Column("value", String(1_000), nullable=False),
    Column("day", Integer, nullable=False),
    Column("counter", String(60), nullable=False),
    Column("n", BigInteger, nullable=False),
    PrimaryKeyConstraint("dimension", "value", "day", "counter"),
    **_KEYED,
)

# The fleet's pairs per day of receipt: what the nulls are made from.
fleet_days = Table(
    "fleet_days",
    metadata,
    Column("signal", String(20), nullable=False),
    Column("day", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    Column("total", Float, nullable=False),
    PrimaryKeyConstraint("signal", "day"),
    **_KEYED,
)

# What counts as honest, frozen at each month's start. `delta` null: fewer than 200 pairs, no evidence that month.
nulls = Table(
    "nulls",
    metadata,
    Column("signal", String(20), nullable=False),
    Column("month", String(7), nullable=False),
    Column("pairs", Integer, nullable=False),
    Column("rho", Float),
    Column("delta", Float),
    PrimaryKeyConstraint("signal", "month"),
    **_KEYED,
)

# The counted pairs of each segment, in order of receipt: all that the evidence is made from.
pairs = Table(
    "pairs",
    metadata,
    Column("dimension", String(200), nullable=False),
    Column("value", String(1_000), nullable=False),
    Column("signal", String(20), nullable=False),
    Column("n", Integer, nullable=False),  # place in the segment, from 1
    Column("day", Integer, nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("account_id", String(200), nullable=False),
    Column("order_id", String(200), nullable=False),
    Column("x", Float, nullable=False),
    Column("delta", Float, nullable=False),
    PrimaryKeyConstraint("dimension", "value", "signal", "n"),
    Index("pairs_by_account_day", "account_id", "day"),
    **_KEYED,
)

# A segment's evidence after each day that had a pair; the newest is the current one.
evidence = Table(
    "evidence",
    metadata,
    Column("dimension", String(200), nullable=False),
    Column("value", String(1_000), nullable=False),
    Column("signal", String(20), nullable=False),
    Column("day", Integer, nullable=False),
    Column("state", Text, nullable=False),  # domain evidence as JSON
    PrimaryKeyConstraint("dimension", "value", "signal", "day"),
)

# Each alert as it stands; its history is in the journal.
alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", String(1_300), primary_key=True),
    Column("signal", String(20), nullable=False),
    Column("dimension", String(200), nullable=False),
    Column("value", String(1_000), nullable=False),
    Column("kind", String(30), nullable=False),
    Column("state", String(20), nullable=False),  # open, resolved
    Column("severity", String(10)),
    Column("opened_at", Utc, nullable=False),
    Column("changed_at", Utc, nullable=False),
    Column("resolved_at", Utc),
    Column("evidence", Text, nullable=False),
    Index("alerts_by_segment", "dimension", "value", "signal"),
)
