"""Alembic's entry: migrations run on the connection `store.engine.migrate` hands in."""

from alembic import context

from pipeline.store.schema.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
