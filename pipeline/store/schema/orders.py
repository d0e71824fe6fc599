"""Tables of orders: their state, the revisions of their claims, timers and the figures."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from pipeline.store.schema.types import WITHOUT_ROWID, Utc, metadata

orders = Table(
    "orders",
    metadata,
    Column("order_id", String(200), primary_key=True),
    Column("facts", Text, nullable=False),  # domain.orders.facts.Facts as JSON
    Column("dialogue", Text, nullable=False),  # domain.orders.dialogue.Dialogue as JSON
    Column("counted", Text, nullable=False),  # what this order added to the rollups: their keys and counters, as JSON
    # The entries of scopes that contain it (store.orders.memberships). "": not known yet, visible without a scope only.
    Column("memberships", Text, nullable=False, server_default=""),
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
    **WITHOUT_ROWID,
)

# Work that becomes due. `kind`: missing_scan (consumers.missing_scans), expiry, reminder (consumers.asking),
# tracked_event (consumers.tracking; its subject is a tracking number, and it has no order) or
# ask_lost (store.orders.timers).
# (store.orders.timers).
timers = Table(
    "timers",
    metadata,
    Column("kind", String(20), nullable=False),
    Column("order_id", String(200), nullable=False),
    Column("subject", String(250), nullable=False),
    Column("due_at", Utc, nullable=False),
    PrimaryKeyConstraint("kind", "order_id", "subject"),
    Index("timers_due", "due_at"),
    **WITHOUT_ROWID,
)

# The figures: counters (domain.reports.counts) per segment and day, added to and never recomputed. The fleet as a whole
# is the segment ("", "").
rollups = Table(
    "rollups",
    metadata,
    Column("dimension", String(200), nullable=False),
    Column("value", String(1_000), nullable=False),
    Column("day", Integer, nullable=False),
    Column("counter", String(60), nullable=False),
    Column("n", BigInteger, nullable=False),
    PrimaryKeyConstraint("dimension", "value", "day", "counter"),
    **WITHOUT_ROWID,
)

# The same counters summed over longer spans (domain.reports.spans), kept in the same transaction as `rollups`: a report
# of years reads months. `first_day`: of the span. The key has the span before the segment: reports read all segments.
rollup_sums = Table(
    "rollup_sums",
    metadata,
    Column("dimension", String(200), nullable=False),
    Column("span", String(5), nullable=False),
    Column("first_day", Integer, nullable=False),
    Column("value", String(1_000), nullable=False),
    Column("counter", String(60), nullable=False),
    Column("n", BigInteger, nullable=False),
    PrimaryKeyConstraint("dimension", "span", "first_day", "value", "counter"),
    **WITHOUT_ROWID,
)
