"""The table of messages to the demo phones."""

from sqlalchemy import Boolean, Column, Index, String, Table, Text

from pipeline.store.schema.types import Utc, metadata

# Messages to demo phones never leave the machine.
phone_messages = Table(
    "phone_messages",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("at", Utc, nullable=False),
    Column("incoming", Boolean, nullable=False),  # a reply, towards us
    Column("number", Text, nullable=False),  # sealed
    Column("account_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("order_id", String(200), nullable=False),
    Column("link_hash", String(64)),
    Column("body", Text, nullable=False),  # sealed
    Column("digest", String(64)),  # of the number
    Index("phone_messages_by_digest", "digest", "at"),
)
