"""The newest receipt on record, and contacts whose source claimed a time that has not come: any correction may win.

Without live events there is no mark: the newest receipt of a replayed history is long past.
"""

import json
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from pipeline.store.schema.types import Utc

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_AHEAD = timedelta(days=2)  # a clock of the events that is further ahead than that comes from a wrong clock
_state = sa.table("state", sa.column("name", sa.String), sa.column("value", sa.String))
_journal = sa.table(
    "journal",
    sa.column("seq", sa.BigInteger),
    sa.column("source", sa.String),
    sa.column("received_at", Utc),
    sa.column("payload", sa.Text),
)
_people = sa.table("people", sa.column("said_at", Utc))


def upgrade() -> None:
    connection = op.get_bind()
    newest = _newest_receipt(connection)
    if newest is not None:
        op.execute(_state.insert().values(name="receipt.newest", value=newest.astimezone(UTC).isoformat()))
    now = datetime.now(UTC)
    cap = now if newest is None else min(max(newest, now - _AHEAD), now)
    op.execute(_people.update().where(_people.c.said_at > cap).values(said_at=cap))


def _newest_receipt(connection: sa.Connection) -> datetime | None:
    """The time of the newest event or tick processed, if the newest event from outside is a live one."""
    query = sa.select(_journal.c.received_at, _journal.c.payload).where(_journal.c.source != "unvarnished")
    row = connection.execute(query.order_by(_journal.c.seq.desc()).limit(1)).one_or_none()
    if row is None or json.loads(row.payload).get("historic"):
        return None
    clock = connection.execute(sa.select(_state.c.value).where(_state.c.name == "runner.clock")).scalar()
    received_at: datetime = row.received_at
    return received_at if clock is None else max(received_at, datetime.fromisoformat(clock))


def downgrade() -> None:
    op.execute(_state.delete().where(_state.c.name == "receipt.newest"))
