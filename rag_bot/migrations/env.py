"""Called by Alembic for each command: hands it the connection that it is to work on."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
