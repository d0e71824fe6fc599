"""Orders of an earlier version belong to scopes as soon as the schema is migrated."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import select, text

from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import user_principal
from pipeline.domain.access.scopes import parse_scope
from pipeline.store.db.engine import connect, reading
from pipeline.store.reads.order_record import read_orders
from pipeline.store.schema.orders import orders
from pipeline.store.schema.upgrade import migrate
from tests.support.builders import at, completed, scanned
from tests.support.running.embedded import embedded, ingest


def test_existing_orders_are_in_their_scopes_after_the_migration(sqlite_database_url: str, tmp_path: Path) -> None:
    runtime = embedded(sqlite_database_url)
    where = [{"depot": "Lyon"}, {"depot": "Lille"}, {"depot": "Saint-Étienne = 100%"}]
    steps = range(1_203)  # more than one step of the migration
    ingest(runtime, *(completed(f"SO-{n}", at(), dimensions=where[n % 3], contacts=[]) for n in steps))
    ingest(runtime, scanned("SO-unknown", at()))
    with reading(runtime.engine) as connection:
        rows = [dict(row) for row in connection.execute(select(orders)).mappings()]
    runtime.engine.dispose()

    url = f"sqlite:///{tmp_path}/earlier.db"
    earlier = connect(url)
    config = Config()
    config.set_main_option("script_location", "pipeline/store/schema/migrations")
    with earlier.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0011")
        statement = (
            "INSERT INTO orders (order_id, facts, dialogue, counted) VALUES (:order_id, :facts, :dialogue, :counted)"
        )
        connection.execute(text(statement), rows)
    migrate(url)
    with reading(earlier) as connection:
        for value, expected in (("Lyon", 401), ("Saint-Étienne = 100%", 401), ("Lyo", 0)):
            scope = parse_scope(Role.OPERATIONS, [f"depot={value}"])
            principal = user_principal("x", Role.OPERATIONS, scope)
            assert len(read_orders(connection, principal, [row["order_id"] for row in rows])) == expected
    earlier.dispose()
