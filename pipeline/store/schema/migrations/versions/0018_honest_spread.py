"""The spread of honest segments and the fleet's present state, and the day from which a database is judged by them."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

FROZEN = ("spreads", "fleet_factors")


def upgrade() -> None:
    op.create_table(
        "segment_days",
        sa.Column("signal", sa.String(length=20), nullable=False),
        sa.Column("dimension", sa.String(length=200), nullable=False),
        sa.Column("value", sa.String(length=1000), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("signal", "dimension", "value", "day"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spreads",
        sa.Column("signal", sa.String(length=20), nullable=False),
        sa.Column("dimension", sa.String(length=200), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("segments", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("signal", "dimension", "month"),
    )
    op.create_table(
        "fleet_factors",
        sa.Column("signal", sa.String(length=20), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("factor", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("signal", "day"),
        sqlite_with_rowid=False,
    )
    _protect()
    _keep_earlier_rules()


def _protect() -> None:
    for table in FROZEN:
        if op.get_bind().dialect.name == "sqlite":
            for what, when in (("update", "UPDATE"), ("delete", "DELETE")):
                op.execute(
                    f"CREATE TRIGGER {table}_refuses_{what} BEFORE {when} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
        else:
            op.execute(
                f"CREATE TRIGGER {table}_refuses_change BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            )
            op.execute(
                f"CREATE TRIGGER {table}_refuses_truncate BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )


def _keep_earlier_rules() -> None:
    """What a database has concluded so far stays: its pairs are judged anew from the second UTC day after today on.

    Processes of the earlier version may run until they are replaced; they must not meet a day of the new rules.
    """
    state = sa.table("state", sa.column("name", sa.Text()), sa.column("value", sa.Text()))
    text = op.get_bind().execute(sa.select(state.c.value).where(state.c.name == "setup")).scalar()
    if text is None:  # a new database
        return
    setup: dict[str, Any] = msgspec.json.decode(text)
    setup["rules_since"] = datetime.now(UTC).date().toordinal() + 2
    value = msgspec.json.encode(setup).decode()
    op.execute(state.update().where(state.c.name == "setup").values(value=value))
    op.execute(
        "INSERT INTO segment_days (signal, dimension, value, day, n, total) "
        "SELECT signal, dimension, value, day, COUNT(*), SUM(x) FROM pairs WHERE signal = 'experience' "
        "GROUP BY signal, dimension, value, day"
    )


def downgrade() -> None:
    raise NotImplementedError("what was frozen exists nowhere else")
