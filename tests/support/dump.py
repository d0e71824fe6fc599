"""The contents of a database as text that does not depend on the engine or the history."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Engine, select

from pipeline.store.db.engine import reading
from pipeline.store.schema.orders import orders
from pipeline.store.schema.tables import metadata
from tests.support.facts import without_places

# Positions in the journal depend on the batches; encrypted bytes are random.
_LEFT_OUT = {
    "journal": {"seq"},
    "people": {"wrapped_key", "name", "phone", "email"},
    "dead_letters": {"raw", "received_at"},  # the time of the attempt to read it
}
_POSITIONS = {"journal.head", "runner.position"}


def dump(engine: Engine, leave_out: Collection[str] = (), columns: dict[str, set[str]] | None = None) -> list[str]:
    """One line per row, sorted. `leave_out` names tables, `columns` further columns by table."""
    lines = []
    with reading(engine) as connection:
        for table in metadata.sorted_tables:
            if table.name in leave_out:
                continue
            dropped = _LEFT_OUT.get(table.name, set()) | (columns or {}).get(table.name, set())
            kept = [column for column in table.c if column.name not in dropped]
            for row in connection.execute(select(*kept)):
                if table.name != "state" or row[0] not in _POSITIONS:
                    lines.append(
                        f"{table.name} " + " ".join(f"{c.name}={_text(c, v)}" for c, v in zip(kept, row, strict=True))
                    )
    return sorted(lines)


def _text(column: Column[Any], value: Any) -> str:
    if column is orders.c.facts:
        value = without_places(value)
    return value.isoformat() if isinstance(value, datetime) else repr(value)
