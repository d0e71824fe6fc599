"""The contents of a database as text that does not depend on the engine or the history."""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Engine, select

from pipeline.store.db.engine import reading
from pipeline.store.people.keys import by_id
from pipeline.store.people.vault import UnsealError
from pipeline.store.schema.orders import orders
from pipeline.store.schema.tables import metadata
from tests.support.facts import without_places
from tests.support.running.embedded import VAULT

# Positions in the journal depend on the batches; encrypted bytes are random.
_LEFT_OUT = {
    "journal": {"seq"},
    "people": {"key_id", "name", "phone", "email"},
    "answer_words": {"seq"},
    "dead_letters": {"raw", "received_at"},  # the time of the attempt to read it
}
_KEYS = "sealing_keys"  # random; and who is known when words are sealed depends on the order of arrival
_SEALED = re.compile(r"sealed:([0-9a-f]{24}):[A-Za-z0-9_=-]+")
_POSITIONS = {"journal.head", "runner.position"}


def dump(engine: Engine, leave_out: Collection[str] = (), columns: dict[str, set[str]] | None = None) -> list[str]:
    """One line per row, sorted, sealed words opened. `leave_out` names tables, `columns` further columns by table."""
    lines = []
    with reading(engine) as connection:
        for table in metadata.sorted_tables:
            if table.name in (*leave_out, _KEYS):
                continue
            dropped = _LEFT_OUT.get(table.name, set()) | (columns or {}).get(table.name, set())
            kept = [column for column in table.c if column.name not in dropped]
            for row in connection.execute(select(*kept)):
                if table.name != "state" or row[0] not in _POSITIONS:
                    lines.append(
                        f"{table.name} " + " ".join(f"{c.name}={_text(c, v)}" for c, v in zip(kept, row, strict=True))
                    )
        return sorted(opened(connection, lines))


def raw_dump(engine: Engine) -> str:
    """Everything that is stored, as it is stored; the `repr` of a row would leave out the middle of long texts."""
    with reading(engine) as connection:
        return "\n".join(
            repr(tuple(row)) for table in metadata.sorted_tables for row in connection.execute(select(table)).all()
        )


def opened(connection: Connection, lines: Collection[str]) -> list[str]:
    """The lines with their sealed words opened: the same words are sealed as other bytes each time."""
    used = {key_id for line in lines for key_id in _SEALED.findall(line)}
    try:
        keys = by_id(connection, VAULT, used)
    except UnsealError:  # another master key
        return [_SEALED.sub("sealed", line) for line in lines]

    def _open(found: re.Match[str]) -> str:
        key = keys.get(found[1])
        return "destroyed" if key is None else repr(key.open(found[0]))

    return [_SEALED.sub(_open, line) for line in lines]


def _text(column: Column[Any], value: Any) -> str:
    if column is orders.c.facts:
        value = without_places(value)
    return value.isoformat() if isinstance(value, datetime) else repr(value)
