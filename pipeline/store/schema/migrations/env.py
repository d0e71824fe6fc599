"""Entry point of Alembic: migrations run on the connection that `store.schema.upgrade.migrate` passes."""

from alembic import context

from pipeline.store.schema.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
