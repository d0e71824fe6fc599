"""The table of answers."""

from sqlalchemy import Boolean, Column, Index, PrimaryKeyConstraint, SmallInteger, String, Table, Text

from pipeline.store.schema.types import WITHOUT_ROWID, Utc, metadata

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
    Column("condition", String(100), nullable=False),  # conditions, separated by commas
    Column("score", SmallInteger),
    Column("scale", SmallInteger),
    Column("comment", Text),  # sealed
    PrimaryKeyConstraint("source", "event_id"),
    Index("answers_by_order", "order_id"),
)

HAS_COMMENT = answers.c.comment.is_not(None)
Index(
    "answers_with_words",
    answers.c.received_at,
    answers.c.source,
    answers.c.event_id,
    sqlite_where=HAS_COMMENT,
    postgresql_where=HAS_COMMENT,
)

# What an answer states as a person has corrected it: the newest correction. Answers themselves are never changed.
readings = Table(
    "readings",
    metadata,
    Column("source", String(200), nullable=False),
    Column("event_id", String(500), nullable=False),
    Column("arrival", String(20)),
    Column("complete", Boolean),
    Column("condition", String(100), nullable=False),  # as in `answers`
    Column("score", SmallInteger),
    Column("scale", SmallInteger),
    PrimaryKeyConstraint("source", "event_id"),
    **WITHOUT_ROWID,
)
