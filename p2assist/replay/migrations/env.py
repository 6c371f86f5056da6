"""Alembic runs this; the open transaction comes from p2assist.replay.database."""

from alembic import context

from p2assist.replay.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # ours is on SQLite as well: it begins by hand
)
with context.begin_transaction():
    context.run_migrations()
