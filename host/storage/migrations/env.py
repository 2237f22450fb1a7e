"""What Alembic runs to apply migrations, on a connection that `host.storage.migrate` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="host",
    transactional_ddl=True,
)
context.run_migrations()
