"""Incidents: causes with their alerts, the acts of people, and what the grouping of alerts keeps."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("unverified", sa.Boolean(), nullable=False),
        sa.Column("signal", sa.String(length=20), nullable=False),
        sa.Column("dimension", sa.String(length=200), nullable=False),
        sa.Column("value", sa.String(length=1000), nullable=False),
        sa.Column("signals", sa.Text(), nullable=False),
        sa.Column("alerts", sa.Text(), nullable=False),
        sa.Column("explains", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=True),
        sa.Column("peak", sa.String(length=10), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner", sa.String(length=100), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closing_cause", sa.String(length=20), nullable=True),
        sa.Column("merged_into", sa.String(length=20), nullable=True),
        sa.Column("then", sa.Text(), nullable=False),
        sa.Column("now", sa.Text(), nullable=True),
        sa.Column("rank", sa.Float(), nullable=False),
        sa.Column("acts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("incidents_by_rank", "incidents", ["ended_at", "rank", "number"], unique=False)
    op.create_index("incidents_by_segment", "incidents", ["dimension", "value", "signal"], unique=False)
    op.create_table(
        "incident_acts",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("act", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("change", sa.String(length=20), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("words", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("number", "act"),
    )
    op.create_table(
        "incident_alerts",
        sa.Column("alert_id", sa.String(length=1300), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("alert_id"),
    )
    op.create_index("incident_alerts_by_number", "incident_alerts", ["number"], unique=False)
    op.create_table(
        "explanations",
        sa.Column("signal", sa.String(length=20), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("signal"),
    )
    op.create_table(
        "order_places",
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("account_id", sa.String(length=200), nullable=False),
        sa.Column("dimensions", sa.Text(), nullable=False),
        sa.Column("historic", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("order_id"),
        sqlite_with_rowid=False,
    )
    # 25,000 alerts: the newest first, and those still open.
    op.create_index("alerts_by_opening", "alerts", ["opened_at", "alert_id"], unique=False)
    op.create_index("alerts_by_state", "alerts", ["state", "signal"], unique=False)
    _protect()
    _group_open_alerts()


def _protect() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for what, when in (("update", "UPDATE"), ("delete", "DELETE")):
            op.execute(
                f"CREATE TRIGGER incident_acts_refuses_{what} BEFORE {when} ON incident_acts "
                "BEGIN SELECT RAISE(ABORT, 'incident_acts is append-only'); END"
            )
        return
    op.execute(
        "CREATE TRIGGER incident_acts_refuses_change BEFORE UPDATE OR DELETE ON incident_acts "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER incident_acts_refuses_truncate BEFORE TRUNCATE ON incident_acts "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _group_open_alerts() -> None:
    """The alerts that are open now become incidents as soon as a process of this version runs."""
    connection = op.get_bind()
    alerts = sa.table("alerts", sa.column("state", sa.Text()))
    if connection.execute(sa.select(alerts.c.state).where(alerts.c.state == "open").limit(1)).first() is None:
        return
    moment = datetime.now(UTC)
    due = moment.isoformat(" ", "microseconds") if connection.dialect.name == "sqlite" else moment
    timers = sa.table("timers", *(sa.column(name) for name in ("kind", "order_id", "subject", "due_at")))
    connection.execute(timers.insert().values(kind="regroup", order_id="", subject="day", due_at=due))


def downgrade() -> None:
    raise NotImplementedError("what people did is not forgotten")
