"""The only way out of the store: a path's data, or a person's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from p2assist.replay.tables import (
    blobs,
    candidates,
    events,
    forgetting,
    functions,
    people,
    practised,
    reports,
    tasks,
)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """keys: of the experiences that are gone; adapters trained on one of them hold it still.
    events: how many events went, theirs included."""

    keys: tuple[str, ...]
    events: int


def forget_path(connection: sa.Connection, path: str) -> Forgotten:
    """Everything of a source file."""
    there = sa.select(tasks.c.id).join(functions).where(functions.c.path == path)
    return _forget(connection, candidates.c.task_id.in_(there), sa.false())


def forget_person(connection: sa.Connection, person: str) -> Forgotten:
    """What a person did (every event of theirs) and wrote (candidates added in their name). A
    model's candidate that was shown to them stays, without its events of theirs."""
    who = sa.select(people.c.id).where(people.c.name == person).scalar_subquery()
    return _forget(connection, candidates.c.person_id == who, events.c.person_id == who)


def _forget(
    connection: sa.Connection,
    which: sa.ColumnElement[bool],
    also: sa.ColumnElement[bool],
) -> Forgotten:
    connection.execute(sa.insert(forgetting).values(id=1))
    gone = list(connection.execute(sa.select(candidates.c.id, candidates.c.key).where(which)))
    doomed = sa.select(candidates.c.id).where(which)
    # In the order of the foreign keys. Candidates go last: the others find themselves by them.
    told = sa.delete(events).where(sa.or_(events.c.candidate_id.in_(doomed), also))
    number = connection.execute(told).rowcount
    connection.execute(sa.delete(reports).where(reports.c.candidate_id.in_(doomed)))
    connection.execute(sa.delete(candidates).where(which))
    _orphans(connection)
    connection.execute(sa.delete(forgetting))
    return Forgotten(tuple(row.key for row in gone), number)


def _orphans(connection: sa.Connection) -> None:
    """What no candidate stands on any more."""
    t = tasks.c
    bare = ~sa.exists(sa.select(1).where(candidates.c.task_id == t.id))
    for key in (t.key, t.given_key):
        done = practised.c.task_key.in_(sa.select(key).where(bare))
        connection.execute(sa.delete(practised).where(done))
    connection.execute(sa.delete(tasks).where(bare))
    _unused(connection, functions, [t.function_id])
    _unused(connection, blobs, [t.source_id, t.tests_id, reports.c.tests_id])
    _unused(connection, people, [candidates.c.person_id, events.c.person_id])


def _unused(
    connection: sa.Connection, table: sa.Table, users: Sequence[sa.Column[int | None]]
) -> None:
    used = [table.c.id.in_(sa.select(user).where(user.is_not(None))) for user in users]
    connection.execute(sa.delete(table).where(~sa.or_(*used)))
