"""The table of replies that wait for a person."""

from sqlalchemy import Column, Index, String, Table, Text

from pipeline.store.schema.types import Utc, metadata

# The words are where they came: in `inbound_messages` or in `answers`.
inbox = Table(
    "inbox",
    metadata,
    Column("item_id", String(32), primary_key=True),
    Column("reason", String(20), nullable=False),  # domain.answers.review.InboxReason
    Column("source", String(200), nullable=False),  # with `event_id`: the answer, as `feedback.received` names it
    Column("event_id", String(500), nullable=False),
    Column("channel", String(100), nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("order_id", String(200)),  # null: no question of ours is known that it belongs to
    Column("contact_id", String(200)),
    Column("sender", String(64)),  # digest of the address a text came from
    Column("language", String(10)),  # of the words, as the reader found; null: not known
    Column("reading", Text),  # events.contract.Reading that a person gave it, as JSON
    Column("proposed_at", Utc),  # when a person gave it a reading that a second person has to confirm
    Column("proposed_by", String(200)),
    Column("proposed_as", String(20)),  # store.asks.inbox.Closing once that reading counts
    Column("closed_at", Utc),
    Column("closed_as", String(20)),  # store.asks.inbox.Closing
    Column("closed_by", String(200)),
    Index("inbox_by_order", "order_id"),
)

WAITING = inbox.c.closed_at.is_(None)
Index(
    "inbox_waiting",
    inbox.c.received_at,
    inbox.c.item_id,
    sqlite_where=WAITING,
    postgresql_where=WAITING,
)
