"""Tables of detection: counted pairs, baselines, evidence and alerts."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from pipeline.store.schema.types import WITHOUT_ROWID, Utc, metadata

# The fleet's pairs per day of receipt. The baselines are estimated from them.
fleet_days = Table(
    "fleet_days",
    metadata,
    Column("signal", String(20), nullable=False),
    Column("day", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    Column("total", Float, nullable=False),
    PrimaryKeyConstraint("signal", "day"),
    **WITHOUT_ROWID,
)

# The baselines: what counts as honest, frozen at the start of each month. `delta` null: fewer than 200 pairs, so no
# evidence in that month.
nulls = Table(
    "nulls",
    metadata,
    Column("signal", String(20), nullable=False),
    Column("month", String(7), nullable=False),
    Column("pairs", Integer, nullable=False),
    Column("rho", Float),
    Column("delta", Float),
    PrimaryKeyConstraint("signal", "month"),
    **WITHOUT_ROWID,
)

# Pairs per segment and day of receipt, also those beyond the cap, of the signals whose honest rate differs between
# segments. The spread is estimated from these sums.
segment_days = Table(
    "segment_days",
    metadata,
    Column("signal", String(20), nullable=False),
    Column("dimension", String(200), nullable=False),
    Column("value", String(1_000), nullable=False),
    Column("day", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    Column("total", Float, nullable=False),
    PrimaryKeyConstraint("signal", "dimension", "value", "day"),
    **WITHOUT_ROWID,
)

# What the segments of a level had at the start of a month, frozen at its first pair: the honest spread follows from it.
spreads = Table(
    "spreads",
    metadata,
    Column("signal", String(20), nullable=False),
    Column("dimension", String(200), nullable=False),
    Column("month", String(7), nullable=False),
    Column("segments", Text, nullable=False),  # domain.detection.spread rows as JSON, sorted by value
    PrimaryKeyConstraint("signal", "dimension", "month"),
)

# How many times its frozen mean the fleet's rate was, frozen at the first pair of each day.
fleet_factors = Table(
    "fleet_factors",
    metadata,
    Column("signal", String(20), nullable=False),
    Column("day", Integer, nullable=False),
    Column("factor", Float, nullable=False),
    PrimaryKeyConstraint("signal", "day"),
    **WITHOUT_ROWID,
)

# The counted pairs of each segment, in order of receipt. Evidence is computed from them alone.
pairs = Table(
    "pairs",
    metadata,
    Column("dimension", String(200), nullable=False),
    Column("value", String(1_000), nullable=False),
    Column("signal", String(20), nullable=False),
    Column("n", Integer, nullable=False),  # number of the pair in the segment, from 1
    Column("day", Integer, nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("account_id", String(200), nullable=False),
    Column("order_id", String(200), nullable=False),
    Column("x", Float, nullable=False),
    Column("delta", Float, nullable=False),
    PrimaryKeyConstraint("dimension", "value", "signal", "n"),
    Index("pairs_by_account_day", "account_id", "day"),
    **WITHOUT_ROWID,
)

# A segment's evidence after days that had a pair; of old days few are kept. The newest row is the current evidence.
evidence = Table(
    "evidence",
    metadata,
    Column("dimension", String(200), nullable=False),
    Column("value", String(1_000), nullable=False),
    Column("signal", String(20), nullable=False),
    Column("day", Integer, nullable=False),
    Column("state", Text, nullable=False),  # domain.detection.alerting evidence as JSON
    PrimaryKeyConstraint("dimension", "value", "signal", "day"),
)

# The current state of each alert. Its history is in the journal.
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
    Index("alerts_by_opening", "opened_at", "alert_id"),
    Index("alerts_by_state", "state", "signal"),
)

# Changes of the levels since the first start, and how far the one in progress is.
level_changes = Table(
    "level_changes",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 1, in their order
    Column("level", String(200), nullable=False),
    Column("capacity", Integer),  # null: removed
    Column("started_at", Utc, nullable=False),
    Column("day", Integer),  # UTC day from which thresholds follow from it; null: in progress
    Column("last_order", String(200), nullable=False),  # the orders up to this one are counted; "": none
    Column("orders_done", Boolean, nullable=False),
    Column("last_seq", BigInteger, nullable=False),  # the pairs of the journal up to this place are folded
    Column("steps", BigInteger, nullable=False),  # orders counted and pairs folded so far
)
