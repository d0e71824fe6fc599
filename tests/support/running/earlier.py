"""A database as an earlier version left it: words readable, a key in each person's row, demo phones in the clear."""

from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, inspect, select, text

from pipeline.domain.events.received import encode, parse
from pipeline.domain.events.words import SEALED
from pipeline.store.db.engine import connect, reading
from pipeline.store.people.vault import Vault
from pipeline.store.schema.tables import metadata
from tests.support.stored import opened

BEFORE = "0014"  # the last schema without sealed words
_NEW = {"sealing_keys", "person_orders", "answer_words", "erasures", "alembic_version"}


def downgrade(vault: Vault, source: str, target: str) -> None:
    """Copy everything of a database into a new one of that version. `vault`: with the master key of the first."""
    old, new = connect(source), connect(target)
    try:
        with new.begin() as connection:
            _migrate_to(connection, BEFORE)
        with reading(old) as reader, new.begin() as writer:
            _copy(vault, reader, writer)
    finally:
        old.dispose()
        new.dispose()


def _migrate_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "pipeline/store/schema/migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _copy(vault: Vault, reader: Connection, writer: Connection) -> None:
    there = MetaData()
    there.reflect(writer)
    for table in metadata.sorted_tables:
        if table.name in _NEW or table.name not in inspect(writer).get_table_names():
            continue
        rows = [dict(row) for row in reader.execute(select(table)).mappings()]
        writer.execute(text(f"DELETE FROM {table.name}" if table.name == "state" else "SELECT 1"))
        if rows:
            plain = [_plain(vault, reader, table.name, row) for row in rows]
            writer.execute(there.tables[table.name].insert(), plain)


def _plain(vault: Vault, reader: Connection, table: str, row: dict[str, Any]) -> dict[str, Any]:
    if table == "journal":
        row["payload"] = encode(_inline(reader, parse(row["payload"].encode()))).decode()
    row = {name: opened(reader, value) for name, value in row.items()}
    if table == "people":
        row["wrapped_key"] = reader.execute(
            text("SELECT wrapped_key FROM sealing_keys WHERE key_id = :id"), {"id": row.pop("key_id")}
        ).scalar()
    elif table == "inbound_messages":
        row["text"] = vault.seal_bytes(row["text"])
    elif table == "phone_messages":
        row.pop("digest")
    return row


def _inline(reader: Connection, value: Any) -> Any:
    """JSON with the members that were sealed together back in their place."""
    if isinstance(value, list):
        return [_inline(reader, item) for item in value]
    if not isinstance(value, dict):
        return opened(reader, value)
    sealed = value.pop(SEALED, None)
    hidden = {} if sealed is None else parse(opened(reader, sealed).encode())
    return {name: _inline(reader, item) for name, item in value.items()} | hidden
