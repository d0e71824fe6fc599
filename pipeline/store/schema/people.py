"""Tables of contacts, opt-outs and API keys."""

from sqlalchemy import Boolean, Column, Index, LargeBinary, PrimaryKeyConstraint, String, Table

from pipeline.store.schema.types import WITHOUT_ROWID, Utc, metadata

# One contact of one account. The addresses are encrypted with a key per contact, which the master key wraps. They are
# found by keyed digests.
people = Table(
    "people",
    metadata,
    Column("account_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("said_at", Utc, nullable=False),  # time of the event these come from: an older event changes nothing
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("name", LargeBinary),
    Column("phone", LargeBinary),
    Column("email", LargeBinary),
    Column("phone_digest", String(64)),
    Column("email_digest", String(64)),
    PrimaryKeyConstraint("account_id", "contact_id"),
    Index("people_by_phone", "phone_digest"),
    Index("people_by_email", "email_digest"),
)

opt_outs = Table(
    "opt_outs",
    metadata,
    Column("digest", String(64), primary_key=True),  # of the address
    Column("at", Utc, nullable=False),
    Column("source", String(200), nullable=False),
    **WITHOUT_ROWID,
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("history", Boolean, nullable=False),  # may send past events, which never lead to a question
    Column("created_at", Utc, nullable=False),
    Column("revoked_at", Utc, nullable=True),
)
