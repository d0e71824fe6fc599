"""The table of messages to the demo phones."""

from sqlalchemy import Boolean, Column, Index, String, Table, Text

from pipeline.store.schema.types import Utc, metadata

# Messages to demo phones never leave the machine. For demos only: the text is stored readable.
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
