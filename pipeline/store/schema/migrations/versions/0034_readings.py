"""Readings: what answers state as people have corrected them, also before this version."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op
from msgspec import json

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_ORDERS = """
SELECT order_id FROM inbox WHERE reading IS NOT NULL AND order_id IS NOT NULL
UNION SELECT order_id FROM corrections
"""
_EVENTS = "SELECT payload FROM journal WHERE type = 'feedback.corrected'"
_FIELDS = ("source", "event_id", "arrival", "complete", "condition", "score", "scale")


def upgrade() -> None:
    table = op.create_table(
        "readings",
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("event_id", sa.String(length=500), nullable=False),
        sa.Column("arrival", sa.String(length=20), nullable=True),
        sa.Column("complete", sa.Boolean(), nullable=True),
        sa.Column("condition", sa.String(length=100), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=True),
        sa.Column("scale", sa.SmallInteger(), nullable=True),
        sa.PrimaryKeyConstraint("source", "event_id"),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    dialogue = sa.text("SELECT dialogue FROM orders WHERE order_id = :order_id")
    for order_id in sorted(_corrected(connection)):
        for (written,) in connection.execute(dialogue, {"order_id": order_id}):
            if rows := list(_readings(json.decode(written))):
                connection.execute(table.insert(), rows)


def _corrected(connection: sa.Connection) -> set[str]:
    """The orders that may have a corrected answer."""
    found = set(connection.execute(sa.text(_ORDERS)).scalars())
    return found | {
        json.decode(payload)["data"]["order_id"] for payload in connection.execute(sa.text(_EVENTS)).scalars()
    }


def _readings(dialogue: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the corrected answers of a dialogue state, as that version stores them: arrays, the correction last."""
    for answer in dialogue.get("answers", []):
        if len(answer) < 11 or answer[10] is None:
            continue
        _, source, event_id, _, arrival, _, complete, condition, score = answer[:9]
        read = answer[10][2]
        withdrawn = read.get("arrival") == "not_received"
        if "complete" in read or read.get("condition") or withdrawn:
            complete, condition = read.get("complete"), read.get("condition", [])
        score = read.get("score") or score or {}
        scale = score.get("scale", 10) if score else None
        values = (
            source,
            event_id,
            read.get("arrival") or arrival,
            complete,
            ",".join(condition),
            score.get("value"),
            scale,
        )
        yield dict(zip(_FIELDS, values, strict=True))


def downgrade() -> None:
    op.drop_table("readings")
