"""Alembic's entry: the connection is handed over by `aftersales.stack.schema`, there is no ini file."""

from alembic import context
from sqlmodel import SQLModel

from aftersales.store import tables  # noqa: F401 - the tables register themselves

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    compare_type=True,
    compare_server_default=True,
    transaction_per_migration=False,  # an upgrade comes as a whole or not at all
)
with context.begin_transaction():
    context.run_migrations()
