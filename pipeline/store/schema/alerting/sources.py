"""Tables of the sources of events: when each sent something, and when this installation was running."""

from sqlalchemy import Boolean, Column, Integer, PrimaryKeyConstraint, String, Table

from pipeline.store.schema.types import WITHOUT_ROWID, metadata

# The watched sources. Slots are quarters of an hour since 1970 (domain.detection.source_silence).
sources = Table(
    "sources",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("first_slot", Integer, nullable=False),
    Column("silent", Boolean, nullable=False),  # its silence is reported
    **WITHOUT_ROWID,
)

# The slots in which a source sent something; source "": in which this installation was running.
source_slots = Table(
    "source_slots",
    metadata,
    Column("source", String(200), nullable=False),
    Column("slot", Integer, nullable=False),
    PrimaryKeyConstraint("source", "slot"),
    **WITHOUT_ROWID,
)
