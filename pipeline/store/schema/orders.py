"""Tables of orders: their state, the revisions of their claims, timers and the figures."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    literal,
)

from pipeline.domain.reports.accounts.sums import Sums
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

# The same counters summed over longer spans (domain.reports.periods.spans), kept in the same transaction as `rollups`:
# a report of years reads months. `first_day`: of the span. The key has the span before the segment: reports read all
# segments.
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

# The sums of accounts (domain.reports.accounts.sums) over months, quarters and all time, kept in the transaction that
# changes an order. `risk`: in thousandths of an order, in whole numbers, so that both databases sort alike.
account_sums = Table(
    "account_sums",
    metadata,
    Column("length", String(7), nullable=False),  # sums.Length
    Column("first_day", Integer, nullable=False),
    Column("account_id", String(200), nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in Sums._fields),
    Column("risk", BigInteger, Computed("1000 * orders * (2 * bad + 1) / (2 * (answered + 5))", persisted=True)),
    PrimaryKeyConstraint("length", "first_day", "account_id"),
    **WITHOUT_ROWID,
)

# Queries repeat this condition as the indexes have it (`schema.asks`): months are read for single accounts only.
IS_LISTED = account_sums.c.length != literal("month", literal_execute=True)
for _name in ("risk", "orders"):
    Index(
        f"account_sums_by_{_name}",
        account_sums.c.length,
        account_sums.c.first_day,
        account_sums.c[_name],
        account_sums.c.account_id,
        sqlite_where=IS_LISTED,
        postgresql_where=IS_LISTED,
    )

# Links to scorecards of accounts (store.users.scorecard_links).
scorecard_links = Table(
    "scorecard_links",
    metadata,
    Column("token_hash", String(64), primary_key=True),  # SHA-256 in hexadecimal
    Column("account_id", String(200), nullable=False),
    Column("period", String(10), nullable=False),  # sums.Period as text
    Column("created_at", Utc, nullable=False),
    Column("created_by", String(100), nullable=False),
    Column("ends_at", Utc, nullable=False),
    Column("revoked_at", Utc),
    Column("revoked_by", String(100)),
    Index("scorecard_links_by_account", "account_id", "created_at"),
)

# Days of talks with customers (store.orders.talks); a past one is a talk that was held.
talks = Table(
    "talks",
    metadata,
    Column("account_id", String(200), nullable=False),
    Column("day", Integer, nullable=False),  # ordinal
    Column("planned_by", String(100), nullable=False),
    Column("planned_at", Utc, nullable=False),
    PrimaryKeyConstraint("account_id", "day"),
)

# The list of orders (domain.reports.order_list): one short row for each order, written with it.
order_list = Table(
    "order_list",
    metadata,
    Column("order_id", String(200), primary_key=True),
    Column("last_event_at", Utc, nullable=False),
    Column("day", Integer),  # of its figures; null until its `order.completed` is received
    Column("verdict", String(20)),
    Column("reason", String(60)),  # why nobody was asked
    Column("counted", BigInteger, nullable=False),  # bits: the counters it is counted in
    Column("codes", BigInteger, nullable=False),  # bits: what its customers state
    Column("membership", Text, nullable=False),  # its account and dimensions, as terms
    Index("order_list_by_event", "last_event_at", "order_id"),
    Index("order_list_by_day", "day", "last_event_at", "order_id"),
)

# The orders of each term that few orders have, in the order of the list. `term` is a digest of 64 bits: what is found
# by it is checked by the order's row in the list.
order_terms = Table(
    "order_terms",
    metadata,
    Column("term", BigInteger, nullable=False),
    Column("last_event_at", Utc, nullable=False),
    Column("order_id", String(200), nullable=False),
    PrimaryKeyConstraint("term", "last_event_at", "order_id"),
    **WITHOUT_ROWID,
)

# What the search finds: the beginnings of ids and names, and of the words and numbers in them, without case.
search_parts = Table(
    "search_parts",
    metadata,
    Column("kind", String(10), nullable=False),  # order, account
    Column("part", LargeBinary, nullable=False),  # UTF-8, so that both databases compare bytes
    Column("subject", String(200), nullable=False),  # id of the order or the account
    PrimaryKeyConstraint("kind", "part", "subject"),
    **WITHOUT_ROWID,
)
