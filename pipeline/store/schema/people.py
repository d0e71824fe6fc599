"""Tables of contacts and the keys of their words, erasures, opt-outs and API keys."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table

from pipeline.store.schema.types import WITHOUT_ROWID, Utc, metadata

# One contact of one account. Name and addresses are encrypted with the contact's key. Addresses are found by keyed
# digests.
people = Table(
    "people",
    metadata,
    Column("account_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("said_at", Utc, nullable=False),  # time of the event these come from: an older event changes nothing
    Column("name", LargeBinary),
    Column("phone", LargeBinary),
    Column("email", LargeBinary),
    Column("phone_digest", String(64)),
    Column("email_digest", String(64)),
    Column("key_id", String(24)),  # of sealing_keys
    PrimaryKeyConstraint("account_id", "contact_id"),
    Index("people_by_phone", "phone_digest"),
    Index("people_by_email", "email_digest"),
)

# The keys of words, names and addresses (store.people.keys), each made once. A destroyed key has no row.
sealing_keys = Table(
    "sealing_keys",
    metadata,
    Column("kind", String(10), nullable=False),  # keys.Owner
    Column("owner", String(401), nullable=False),
    Column("key_id", String(24), nullable=False, unique=True),  # random: what was sealed with the key names it
    Column("wrapped_key", LargeBinary, nullable=False),  # by the master key
    PrimaryKeyConstraint("kind", "owner"),
)

# Which orders name a person: what an export shows and an erasure concerns.
person_orders = Table(
    "person_orders",
    metadata,
    Column("account_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("order_id", String(200), nullable=False),
    PrimaryKeyConstraint("account_id", "contact_id", "order_id"),
    **WITHOUT_ROWID,
)

# Keyed digests of the words of answers and of the first letters of each, for the search. No readable word is here.
answer_words = Table(
    "answer_words",
    metadata,
    Column("digest", LargeBinary, nullable=False),  # vault.word_digest
    Column("seq", BigInteger, nullable=False),  # of the answer in the journal
    PrimaryKeyConstraint("digest", "seq"),
    Index("answer_words_by_answer", "seq"),
    **WITHOUT_ROWID,
)

# Erasures, from their request on. One that is carried out is a tombstone: who it was is known by ids only.
erasures = Table(
    "erasures",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("requested_at", Utc, nullable=False),
    Column("requested_by", String(200), nullable=False),
    Column("due_at", Utc),  # when it takes effect without a second user; null: it needs one
    Column("confirmed_at", Utc),
    Column("confirmed_by", String(200)),  # null: nobody did
    Column("done_at", Utc),  # null: not carried out yet
    Column("orders", Integer),  # that named the person
    Column("withdrawn_at", Utc),
    Index("erasures_by_person", "account_id", "contact_id"),
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

# Every STOP and every START of a contact, whatever addresses they have by now: the newest decides
# (store.people.contact_opt_outs).
contact_opt_changes = Table(
    "contact_opt_changes",
    metadata,
    Column("account_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("source", String(200), nullable=False),  # with `id`: the text, answer or report that it came with
    Column("id", String(600), nullable=False),
    Column("stops", Boolean, nullable=False),
    Column("at", Utc, nullable=False),  # the provider's time, as soon as that is known
    PrimaryKeyConstraint("account_id", "contact_id", "source", "id"),
    Index("contact_opt_changes_by_id", "source", "id"),
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
