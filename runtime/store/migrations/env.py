"""Alembic's entry: runs the migrations on the connection that `migrate` hands in."""

from alembic import context

from runtime.store.schema.tables_around import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
