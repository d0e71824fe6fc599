"""The table of decisions to ask, and what became of each question."""

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text, func, literal

from pipeline.domain.asking.ask_states import AskState
from pipeline.store.schema.types import WITHOUT_ROWID, Utc, metadata

# The newest decision to ask or not to ask. A decision to ask is final; a refusal may be replaced once it is in
# `refusals`. From `state` on, the columns follow the question's life (domain.asking.ask_states).
asks = Table(
    "asks",
    metadata,
    Column("order_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("purpose", String(20), nullable=False),
    Column("account_id", String(200), nullable=False),
    Column("decided_at", Utc, nullable=False),
    Column("reason", String(40)),  # eligibility.Reason; null: asked
    Column("channel", String(100)),
    Column("state", String(20), nullable=False),  # ask_states.AskState
    Column("due_at", Utc),  # null: another system sends it, or it is not sent
    Column("wake_at", Utc),  # when a dispatcher has to process it next; null: never
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("owner", String(100)),  # the dispatcher that committed to send it
    Column("sending_at", Utc),  # when it did
    Column("request", Text),  # the question as committed: FeedbackRequested as JSON, with the frozen claim
    Column("recipient", String(64)),  # digest of the address it went to
    Column("form_token_hash", String(64)),  # SHA-256 in hexadecimal of the link's token
    Column("callback_token_hash", String(64)),  # SHA-256 in hexadecimal of the status callback's token
    Column("provider_id", String(100)),
    Column("outcome", String(20)),  # ask_states.SendOutcome of the last attempt
    Column("code", Integer),  # the provider's, of a rejection or a failed delivery
    Column("sent_at", Utc),  # when we learned that the provider had it
    Column("delivered_at", Utc),  # when we learned that the phone had it
    Column("address", String(64)),  # digest of the address that the decision is about; once sent, that it went to
    Column("unsubscribe_token_hash", String(64)),  # SHA-256 in hexadecimal of the token that ends messages
    Column("fallback", String(100)),  # the channel it moved to, because the one decided on failed for good
    Column("send_by", Utc),  # latest time of sending; null: by the policy, after the decision
    Column("role", String(20)),  # of the contact, when it was decided; null: not known
    Column("response", String(20)),  # contract.FixedResponse: the text of a response; null: it is a question
    PrimaryKeyConstraint("order_id", "contact_id", "purpose"),
    Index("asks_by_account", "account_id", "decided_at"),
    Index("asks_by_wake_at", "wake_at"),
    Index("asks_by_form_token", "form_token_hash", unique=True),
    Index("asks_by_callback_token", "callback_token_hash", unique=True),
    Index("asks_by_unsubscribe_token", "unsubscribe_token_hash", unique=True),
    Index("asks_by_recipient", "recipient"),
    Index("asks_by_address", "address", "decided_at"),
    **WITHOUT_ROWID,
)

# The refusals that `asks` does not show: those that a later decision replaced, and those after an ask that ended
# without a message. `n` counts the refusals of one contact and purpose.
refusals = Table(
    "refusals",
    metadata,
    Column("order_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("purpose", String(20), nullable=False),
    Column("n", Integer, nullable=False),
    Column("account_id", String(200), nullable=False),
    Column("decided_at", Utc, nullable=False),
    Column("reason", String(40), nullable=False),  # eligibility.Reason
    PrimaryKeyConstraint("order_id", "contact_id", "purpose", "n"),
    **WITHOUT_ROWID,
)

# What the rests and limits of questions count: a response asks nothing.
IS_QUESTION = asks.c.response.is_(None)

# When a question reached its contact, as near as we know.
ASKED_AT = func.coalesce(asks.c.sent_at, asks.c.sending_at, asks.c.decided_at, type_=Utc())

# Queries repeat this condition as the index has it, without a parameter: SQLite would not use the index otherwise.
IS_UNRESOLVED = asks.c.state == literal(str(AskState.UNRESOLVED), literal_execute=True)
Index("asks_unresolved", asks.c.sending_at, sqlite_where=IS_UNRESOLVED, postgresql_where=IS_UNRESOLVED)
