"""Reading experiences back. Every function runs inside the caller's transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from p2assist.errors import StoreError
from p2assist.experience import Experience, Feedback, Source, Task, TestReport
from p2assist.replay import rows
from p2assist.replay.rows import Event
from p2assist.replay.tables import (
    SOURCES,
    blobs,
    candidates,
    events,
    functions,
    makers,
    people,
    practised,
    reports,
    tasks,
)
from p2assist.replay.writer import BATCH

_PREFIX = re.compile(r"[0-9a-f]{1,32}\Z")
_WHOLE = candidates.join(tasks).join(functions).join(makers)


def latest_report() -> sa.ScalarSelect[Any]:
    """The id of a candidate's newest report, for use beside candidates."""
    return (
        sa.select(sa.func.max(reports.c.id))
        .where(reports.c.candidate_id == candidates.c.id)
        .correlate(candidates)
        .scalar_subquery()
    )


def select_ids(
    connection: sa.Connection,
    *,
    path: str | None = None,
    source: Source | None = None,
    tested: bool | None = None,
    model: str | None = None,
    adapter: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[int]:
    """Rows of candidates, oldest first; limit and offset count from the newest."""
    statement = sa.select(candidates.c.id).select_from(_WHOLE)
    for column, wanted in (
        (functions.c.path, path),
        (candidates.c.source, None if source is None else SOURCES[source]),
        (makers.c.model, model),
        (makers.c.adapter, adapter),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if tested is not None:
        says = sa.select(reports.c.id).where(reports.c.id == latest_report(), reports.c.total > 0)
        statement = statement.where(sa.exists(says) if tested else ~sa.exists(says))
    statement = statement.order_by(candidates.c.id.desc())
    if limit is not None:
        statement = statement.limit(limit)
    if offset:
        # SQLite has no OFFSET without LIMIT.
        statement = statement.limit(limit if limit is not None else 2**62).offset(offset)
    return list(connection.scalars(statement))[::-1]


def find(connection: sa.Connection, prefix: str) -> int:
    """The candidate whose key, or whose key before redaction, begins so.

    Raises StoreError where none does, or several do.
    """
    if not _PREFIX.match(prefix):
        raise StoreError(f"{prefix!r} is no key: a key is 32 of 0-9a-f, or the beginning of one")
    begins = [c.between(prefix, prefix + "g") for c in (candidates.c.key, candidates.c.given_key)]
    statement = sa.select(candidates.c.id, candidates.c.key).where(sa.or_(*begins)).limit(3)
    found = list(connection.execute(statement))
    if not found:
        raise StoreError(f"no experience has the key {prefix}: see `p2assist replay ls`")
    if len(found) > 1:
        keys = ", ".join(row.key for row in found)
        raise StoreError(f"{prefix} begins several keys ({keys}, ...): give more of it")
    return int(found[0].id)


def fetch(connection: sa.Connection, ids: Sequence[int], *, strict: bool) -> list[Experience]:
    """Experiences in the order of ids, which may repeat. Missing ones: StoreError where strict,
    left out otherwise."""
    wanted = sorted(set(ids))
    found: dict[int, Experience] = {}
    known: dict[int, Task] = {}
    for at in range(0, len(wanted), BATCH):
        found |= _fetch_batch(connection, wanted[at : at + BATCH], known)
    if strict and (missing := [i for i in wanted if i not in found]):
        raise StoreError(
            f"{len(missing)} of the experiences asked for are not in the store any more (first id: "
            f"{missing[0]}): read its columns again"
        )
    return [found[i] for i in ids if i in found]


def events_of(connection: sa.Connection, candidate: int) -> list[Event]:
    """What happened to a candidate, in the order it was told."""
    statement = (
        sa.select(events, people.c.name)
        .select_from(events.outerjoin(people))
        .where(events.c.candidate_id == candidate)
        .order_by(events.c.id)
    )
    return [rows.event_of(row) for row in connection.execute(statement)]


def practised_keys(connection: sa.Connection, model: str, adapter: str) -> set[str]:
    statement = (
        sa.select(practised.c.task_key)
        .join(makers)
        .where(makers.c.model == model, makers.c.adapter == adapter)
    )
    return set(connection.scalars(statement))


def load_blobs(connection: sa.Connection, ids: Iterable[int]) -> dict[int, bytes]:
    """Unpacked blobs by id."""
    wanted = sorted(set(ids))
    found: dict[int, bytes] = {}
    for at in range(0, len(wanted), BATCH):
        statement = sa.select(blobs.c.id, blobs.c.data).where(
            blobs.c.id.in_(wanted[at : at + BATCH])
        )
        found.update((row.id, rows.unpack(row.data)) for row in connection.execute(statement))
    return found


def _fetch_batch(
    connection: sa.Connection, ids: Sequence[int], known: dict[int, Task]
) -> dict[int, Experience]:
    """known: tasks by row id, added to: their sources are large and shared."""
    statement = (
        sa.select(candidates, tasks, functions, makers)
        .select_from(_WHOLE)
        .where(candidates.c.id.in_(ids))
        .set_label_style(sa.LABEL_STYLE_TABLENAME_PLUS_COL)
    )
    found = list(connection.execute(statement))
    fresh = {row.tasks_id: row for row in found if row.tasks_id not in known}
    addresses = [i for row in fresh.values() for i in (row.tasks_source_id, row.tasks_tests_id)]
    data = load_blobs(connection, addresses)
    for i, row in fresh.items():
        known[i] = rows.task_of(row, data[row.tasks_source_id], data[row.tasks_tests_id])
    said, done = _reports(connection, ids), _feedback(connection, ids)
    return {
        row.candidates_id: Experience(
            task=known[row.tasks_id],
            candidate=rows.candidate_of(row),
            report=said.get(row.candidates_id),
            feedback=tuple(done.get(row.candidates_id, ())),
            source=rows.source_of(row),
            created=row.candidates_created,
        )
        for row in found
    }


def _reports(connection: sa.Connection, ids: Sequence[int]) -> dict[int, TestReport]:
    newest = (
        sa.select(sa.func.max(reports.c.id))
        .where(reports.c.candidate_id.in_(ids))
        .group_by(reports.c.candidate_id)
    )
    found = list(connection.execute(sa.select(reports).where(reports.c.id.in_(newest))))
    tests = load_blobs(connection, (row.tests_id for row in found))
    return {row.candidate_id: rows.report_of(row, tests[row.tests_id]) for row in found}


def _feedback(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[Feedback]]:
    statement = (
        sa.select(events)
        .where(events.c.candidate_id.in_(ids), events.c.kind.in_(sorted(rows.FEEDBACK)))
        .order_by(events.c.id)
    )
    found: dict[int, list[Feedback]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.candidate_id, []).append(rows.feedback_of(row))
    return found
