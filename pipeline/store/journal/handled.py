"""The published events that workers have handled: marked in the transaction of their effect, so that it occurs once."""

from collections.abc import Collection

from sqlalchemy import Connection, text

from pipeline.store.db.bulk import as_json

_MARK = text(
    "INSERT INTO handled (seq, part) "
    "SELECT seq, part FROM json_to_recordset(CAST(:rows AS json)) AS given(seq bigint, part text) ORDER BY seq, part "
    "ON CONFLICT DO NOTHING RETURNING seq, part"
)


def mark(connection: Connection, keys: Collection[tuple[int, str]]) -> set[tuple[int, str]]:
    """Mark these parts of events as handled. Returns those that were not handled before.

    Waits for any part that another transaction is just marking.
    """
    if not keys:
        return set()
    rows = as_json(list(keys), ("seq", "part"))
    return {(seq, part) for seq, part in connection.execute(_MARK, {"rows": rows})}
