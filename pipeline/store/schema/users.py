"""Tables of users: accounts, their sessions and API tokens, single-use links, acts, and corrections of answers."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from pipeline.store.schema.types import Utc, metadata

users = Table(
    "users",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("folded", String(300), nullable=False, unique=True),  # the name without case: what a sign-in is looked up by
    Column("role", String(20), nullable=False),
    Column("scope", Text, nullable=False),  # entries of the scope as a JSON list; "null": everything
    Column("password_hash", String(200)),  # argon2id; null: none yet, or signed in by OpenID Connect
    Column("totp", LargeBinary),  # the sealed secret of the second factor
    Column("totp_step", BigInteger),  # the newest time step whose code was used: a code works once
    Column("issuer", String(500)),  # of OpenID Connect, with `subject` the identity
    Column("subject", String(255)),
    Column("created_at", Utc, nullable=False),
    Column("accepted_at", Utc),  # first sign-in: until then the account is an invitation
    Column("disabled_at", Utc),
    UniqueConstraint("issuer", "subject"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),  # of the session's id, which only the browser has
    Column("user_name", String(100)),  # null: the start token
    Column("created_at", Utc, nullable=False),
    Column("seen_at", Utc, nullable=False),
    Index("sessions_by_user", "user_name"),
)

user_tokens = Table(
    "user_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user_name", String(100), nullable=False),
    Column("label", String(100), nullable=False),
    Column("role", String(20), nullable=False),
    Column("scope", Text, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("ends_at", Utc, nullable=False),
    Column("revoked_at", Utc),
    UniqueConstraint("user_name", "label"),
)

# Links and states that work once: invitations, and sign-ins on their way to the identity provider and back.
single_use = Table(
    "single_use",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("user_name", String(100)),
    Column("payload", Text, nullable=False),
    Column("ends_at", Utc, nullable=False),
)

# Append-only: triggers refuse changes.
acts = Table(
    "acts",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Utc, nullable=False),
    Column("who", String(100), nullable=False),
    Column("what", String(40), nullable=False),
    Column("subject", String(1_000), nullable=False),
    Column("origin", String(100), nullable=False),
    Column("details", Text, nullable=False),  # JSON with sorted keys
    Index("acts_by_who", "who", "seq"),
    sqlite_autoincrement=True,
)

corrections = Table(
    "corrections",
    metadata,
    Column("correction_id", String(64), primary_key=True),
    Column("order_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("source", String(200), nullable=False),  # with `answer_id`: the answer
    Column("answer_id", String(500), nullable=False),
    Column("reading", Text, nullable=False),  # events.contract.Reading as JSON
    Column("by", String(100), nullable=False),
    Column("proposed_at", Utc, nullable=False),
    Column("confirmed_by", String(100)),
    Column("counted_at", Utc),  # when its event was submitted; null: waits for a second user
    # The customer has answered again since, so it can never count and waits no more.
    Column("replaced", Boolean, nullable=False, server_default=false()),
    Index("corrections_by_order", "order_id"),
    Index("corrections_by_state", "counted_at", "proposed_at"),
)
