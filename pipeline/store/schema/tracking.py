"""Tables that join carriers' events, which know no order, with the orders that have their tracking number."""

from sqlalchemy import Column, Index, PrimaryKeyConstraint, String, Table, Text

from pipeline.store.schema.types import WITHOUT_ROWID, Utc, metadata

# The orders of each tracking number (`domain.events.tracking.normal_number`). A number may have several.
tracking_numbers = Table(
    "tracking_numbers",
    metadata,
    Column("number", String(100), nullable=False),
    Column("order_id", String(200), nullable=False),
    Column("since", Utc, nullable=False),  # time of the first event that says so
    PrimaryKeyConstraint("number", "order_id"),
    **WITHOUT_ROWID,
)

# The events that name no order, kept for `domain.orders.parcels.WAIT_FOR_ORDER`: another order may still come.
tracked_events = Table(
    "tracked_events",
    metadata,
    Column("source", String(200), nullable=False),
    Column("event_id", String(500), nullable=False),
    Column("number", String(100), nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("event", Text, nullable=False),  # type, time, historic and data, as JSON
    PrimaryKeyConstraint("source", "event_id"),
    Index("tracked_events_by_number", "number"),
)
