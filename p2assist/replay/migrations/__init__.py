"""The store's schema, migration by migration (alembic). HEAD is the newest one.

A migration is never edited once released: append another, and move HEAD.
"""

HEAD = "0001"
