"""Tables of conversations: inbound texts, the state of each conversation, and provider callbacks."""

from sqlalchemy import Column, Index, LargeBinary, PrimaryKeyConstraint, SmallInteger, String, Table, Text

from pipeline.store.schema.types import WITHOUT_ROWID, Utc, metadata

# Every inbound text, from known and unknown numbers. It is sealed under the key of its person, or of an unknown
# address. It never changes; its outcome is added in the transaction that stores it.
inbound_messages = Table(
    "inbound_messages",
    metadata,
    Column("source", String(40), nullable=False),  # twilio, phone
    Column("message_id", String(200), nullable=False),  # the provider's
    Column("received_at", Utc, nullable=False),
    Column("sender", String(64)),  # digest of the phone number; null: not a number that can be reached
    Column("text", LargeBinary, nullable=False),  # sealed words, as text in UTF-8
    Column("outcome", String(20), nullable=False),  # consumers.conversation.texts.ReplyOutcome
    Column("order_id", String(200)),
    Column("contact_id", String(200)),
    Column("reply", Text),  # what we sent back; null: nothing
    Column("media", LargeBinary),  # sealed: where the pictures that came with it are at the provider, as JSON
    Column("next_question", String(20)),  # of the conversation, after this text; null: stored by an earlier version
    PrimaryKeyConstraint("source", "message_id"),
    Index("inbound_by_sender", "sender", "received_at"),
    Index("inbound_by_order", "order_id"),
)

conversations = Table(
    "conversations",
    metadata,
    Column("order_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("question", String(20), nullable=False),  # the open one: arrival, score, comment, done
    Column("tries", SmallInteger, nullable=False),  # how often it was repeated
    Column("changed_at", Utc, nullable=False),
    Column("said", Text, nullable=False),  # domain.answers.statement.Statement so far, as JSON; its comment is sealed
    PrimaryKeyConstraint("order_id", "contact_id"),
)

# The answers that were admitted by the form, each by the id of its event: their number is limited.
form_answers = Table(
    "form_answers",
    metadata,
    Column("order_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("event_id", String(64), nullable=False),
    PrimaryKeyConstraint("order_id", "contact_id", "event_id"),
    **WITHOUT_ROWID,
)

# The links of codes on delivery notes, one for an order.
qr_links = Table(
    "qr_links",
    metadata,
    Column("token_hash", String(64), primary_key=True),  # SHA-256 in hexadecimal
    Column("order_id", String(200), nullable=False),
    Column("made_at", Utc, nullable=False),
    **WITHOUT_ROWID,
)

# What the provider reported of a message that we sent. Each status of a message counts once.
provider_callbacks = Table(
    "provider_callbacks",
    metadata,
    Column("message_id", String(100), nullable=False),
    Column("status", String(40), nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("error_code", String(20)),
    PrimaryKeyConstraint("message_id", "status"),
)
