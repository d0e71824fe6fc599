"""Tables of cases: their current state, and their acts."""

from sqlalchemy import Boolean, Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from pipeline.store.schema.types import Utc, metadata

# The current state of each case. It is about an order and a contact, or about an incident.
cases = Table(
    "cases",
    metadata,
    Column("case_id", String(20), primary_key=True),
    Column("order_id", String(200)),
    Column("contact_id", String(200)),
    Column("incident", Integer),  # its number; null: the case is about an order
    Column("account_id", String(200)),  # null: not known when the case was opened
    Column("role", String(20)),  # of the contact
    Column("reasons", Text, nullable=False),  # events.cases.CaseReason, as JSON
    Column("severity", String(10), nullable=False),
    Column("opened_at", Utc, nullable=False),
    Column("changed_at", Utc, nullable=False),
    Column("due_at", Utc, nullable=False),
    Column("owner", String(100)),
    Column("overdue", Boolean, nullable=False),
    Column("closed_at", Utc),
    Column("outcome", String(20)),  # events.cases.CaseOutcome
    Column("follow_up", String(20)),  # events.cases.FollowUp
    Column("answered_at", Utc),  # when the customer said whether it is settled
    Column("acts", Integer, nullable=False),
    Index("cases_by_order", "order_id", "contact_id", unique=True),
    Index("cases_by_incident", "incident", unique=True),
    Index("cases_by_account", "account_id", "opened_at"),
)

IS_OPEN, IS_CLOSED = cases.c.closed_at.is_(None), cases.c.closed_at.is_not(None)
Index("cases_open", cases.c.due_at, cases.c.case_id, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN)
Index("cases_closed", cases.c.closed_at, cases.c.case_id, sqlite_where=IS_CLOSED, postgresql_where=IS_CLOSED)

# Every act of a person or a customer, and every change by time. Append-only.
case_acts = Table(
    "case_acts",
    metadata,
    Column("case_id", String(20), nullable=False),
    Column("act", Integer, nullable=False),  # from 1
    Column("at", Utc, nullable=False),
    Column("by", String(100), nullable=False),  # a user's name, `customer`, or `system`
    Column("what", String(20), nullable=False),  # the type of its event without `case.`
    Column("change", String(20)),
    Column("event", Text, nullable=False),  # domain.events.cases.CaseChanged as JSON
    Column("words", Text),  # sealed with the key of the contact, or of the incident's cases
    PrimaryKeyConstraint("case_id", "act"),
)
