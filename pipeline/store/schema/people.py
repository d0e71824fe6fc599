"""Tables of contacts, opt-outs and API keys."""

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table

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

# Addresses that want no messages now. Derived from `opt_changes`; `at` is the time of the newest STOP.
opt_outs = Table(
    "opt_outs",
    metadata,
    Column("digest", String(64), primary_key=True),  # of the address
    Column("at", Utc, nullable=False),
    Column("source", String(200), nullable=False),
    **WITHOUT_ROWID,
)

# Every STOP and every START: the newest of an address decides (store.people.opt_outs).
opt_changes = Table(
    "opt_changes",
    metadata,
    Column("digest", String(64), nullable=False),  # of the address
    Column("source", String(200), nullable=False),  # with `id`: the text, answer or report that it came with
    Column("id", String(600), nullable=False),
    Column("stops", Boolean, nullable=False),
    Column("at", Utc, nullable=False),  # the provider's time, as soon as that is known
    PrimaryKeyConstraint("digest", "source", "id"),
    Index("opt_changes_by_id", "source", "id"),
    **WITHOUT_ROWID,
)

# Addresses at which nobody can be reached, as a provider reported: they rest.
undeliverable_addresses = Table(
    "undeliverable_addresses",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("at", Utc, nullable=False),  # when the message was sent that the report is about
    Column("code", Integer),  # the provider's
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
