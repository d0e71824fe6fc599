"""Sums of the figures over weeks, months and all days, filled from those of days."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_EPOCH = "DATE '0001-01-01'"  # ordinal 1, a Monday
# The first day of each span that contains `day`, an ordinal.
_ON_SQLITE = {
    "all": "0",
    "month": "CAST(julianday(date(day + 1721424.5, 'start of month')) - 1721424.5 AS INTEGER)",
    "week": "day - (day - 1) % 7",
}
_ON_POSTGRESQL = {
    "all": "0",
    "month": f"CAST(date_trunc('month', {_EPOCH} + (day - 1)) AS date) - {_EPOCH} + 1",
    "week": "day - (day - 1) % 7",
}
# A process of the version before that still runs adds to days only: the database adds to the sums for it. Processes
# of this version say that they keep the sums themselves.
_FOR_THE_VERSION_BEFORE = """
CREATE FUNCTION keep_rollup_sums() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed record;
    delta bigint;
BEGIN
    IF TG_OP = 'DELETE' THEN changed := OLD; delta := -OLD.n;
    ELSIF TG_OP = 'UPDATE' THEN changed := NEW; delta := NEW.n - OLD.n;
    ELSE changed := NEW; delta := NEW.n;
    END IF;
    INSERT INTO rollup_sums AS kept (dimension, span, first_day, value, counter, n)
    SELECT changed.dimension, spans.span, spans.first_day, changed.value, changed.counter, delta
    FROM (VALUES {spans}) AS spans (span, first_day)
    ON CONFLICT (dimension, span, first_day, value, counter) DO UPDATE SET n = kept.n + excluded.n;
    DELETE FROM rollup_sums
    WHERE (span, first_day) IN (VALUES {spans})
    AND dimension = changed.dimension AND value = changed.value AND counter = changed.counter AND n = 0;
    RETURN NULL;
END $$
"""
_TRIGGER = """
CREATE TRIGGER rollups_keep_sums AFTER INSERT OR UPDATE OR DELETE ON rollups FOR EACH ROW
WHEN (current_setting('unvarnished.sums_are_kept', true) IS DISTINCT FROM 'yes')
EXECUTE FUNCTION keep_rollup_sums()
"""


def upgrade() -> None:
    op.create_table(
        "rollup_sums",
        sa.Column("dimension", sa.String(length=200), nullable=False),
        sa.Column("span", sa.String(length=5), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=False),
        sa.Column("value", sa.String(length=1000), nullable=False),
        sa.Column("counter", sa.String(length=60), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "span", "first_day", "value", "counter"),
        sqlite_with_rowid=False,
    )
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    if not on_sqlite:
        op.execute(
            "LOCK TABLE rollups IN SHARE ROW EXCLUSIVE MODE"
        )  # nothing is added between the sums and the trigger
    for span, first in (_ON_SQLITE if on_sqlite else _ON_POSTGRESQL).items():
        op.execute(
            "INSERT INTO rollup_sums (dimension, span, first_day, value, counter, n) "
            f"SELECT dimension, '{span}', {first} AS first_day, value, counter, SUM(n) FROM rollups "
            "GROUP BY dimension, 3, value, counter HAVING SUM(n) <> 0"
        )
    if not on_sqlite:
        spans = ", ".join(
            f"('{span}', {first.replace('day', 'changed.day')})" for span, first in _ON_POSTGRESQL.items()
        )
        op.execute(_FOR_THE_VERSION_BEFORE.replace("{spans}", spans))
        op.execute(_TRIGGER)


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP TRIGGER rollups_keep_sums ON rollups")
        op.execute("DROP FUNCTION keep_rollup_sums()")
    op.drop_table("rollup_sums")
