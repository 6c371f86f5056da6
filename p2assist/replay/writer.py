"""Adding rows: interned, idempotent, a batch at a time. Every function runs inside the caller's
transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from p2assist.experience import Task
from p2assist.replay import rows
from p2assist.replay.rows import Entry, Event, Row
from p2assist.replay.tables import (
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

BATCH = 500  # rows a statement: SQLite takes at most 32,766 parameters
Key = tuple[Any, ...]
Columns = tuple[str, ...]
Make = Callable[[], Row]
_INSERT: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def add(connection: sa.Connection, entries: Iterable[Entry], person: str = "") -> int:
    """Store the entries; returns how many were new. A known one adds its report and feedback."""
    pending, new = iter(entries), 0
    while batch := list(islice(pending, BATCH)):
        new += _add_batch(connection, batch, person)
    return new


def mark_practised(connection: sa.Connection, task_key: str, model: str, adapter: str) -> None:
    ids = _named(connection, makers, ("model", "adapter"), {(model, adapter)})
    row = {"task_key": task_key, "maker_id": ids[(model, adapter)], "at": datetime.now(UTC)}
    _insert(connection, practised, [row])


def append_event(connection: sa.Connection, candidate: int, event: Event) -> None:
    person = _person(connection, event.person)
    _insert(connection, events, [rows.event_row(event, candidate, person)])


def _person(connection: sa.Connection, name: str) -> int | None:
    """The person's row, made where there was none; None for ''."""
    return _named(connection, people, ("name",), {(name,)})[(name,)] if name else None


def _add_batch(connection: sa.Connection, batch: Sequence[Entry], person: str) -> int:
    task_ids = _tasks(connection, batch)
    maker_ids = _named(connection, makers, ("model", "adapter"), {_maker(e) for e in batch})
    who = _person(connection, person)
    keys = [entry.experience.key for entry in batch]
    made: dict[Key, Make] = {}
    for entry, key in zip(batch, keys, strict=True):
        task, maker = task_ids[entry.given_task_key], maker_ids[_maker(entry)]
        made.setdefault((key,), partial(rows.candidate_row, entry, key, task, maker, who))
    before = _lookup(connection, candidates, ("key",), made)
    ids = before | _intern(connection, candidates, ("key",), _without(made, before))
    _history(connection, batch, [ids[(key,)] for key in keys], who, person)
    return len(ids) - len(before)


def _tasks(connection: sa.Connection, batch: Sequence[Entry]) -> dict[str, int]:
    """Row of each entry's task, by the key it was given with."""
    first = {entry.given_task_key: entry for entry in batch}
    key_of = {given: entry.experience.task.key for given, entry in first.items()}
    ids = _lookup(connection, tasks, ("key",), {(key,) for key in key_of.values()})
    fresh = [(g, e, e.experience.task) for g, e in first.items() if (key_of[g],) not in ids]
    places = {(task.path, task.function) for _, _, task in fresh}
    function = _named(connection, functions, ("path", "name"), places)
    blob = _blobs(connection, (data for _, _, task in fresh for data in _contents(task)))
    made: dict[Key, Make] = {}
    for given, entry, task in fresh:
        source, tests = (blob[rows.blob_key(data)] for data in _contents(task))
        place = function[(task.path, task.function)]
        made[(key_of[given],)] = partial(rows.task_row, entry, place, source, tests)
    ids |= _intern(connection, tasks, ("key",), made)
    return {given: ids[(key,)] for given, key in key_of.items()}


def _history(
    connection: sa.Connection,
    batch: Sequence[Entry],
    ids: Sequence[int],
    who: int | None,
    person: str,
) -> None:
    """The reports and feedback that came with the entries."""
    tested = [(e.experience.report, i) for e, i in zip(batch, ids, strict=True)]
    data = [(report, i, rows.tests_blob(report.outcomes)) for report, i in tested if report]
    blob = _blobs(connection, [tests for _, _, tests in data])
    _insert(
        connection,
        reports,
        [rows.report_row(report, i, blob[rows.blob_key(tests)]) for report, i, tests in data],
    )
    happened = [
        rows.event_row(rows.feedback_event(feedback, person), i, who)
        for entry, i in zip(batch, ids, strict=True)
        for feedback in entry.experience.feedback
    ]
    _insert(connection, events, happened)


def _maker(entry: Entry) -> Key:
    return entry.experience.candidate.model, entry.experience.candidate.adapter


def _contents(task: Task) -> tuple[bytes, bytes]:
    return rows.source_blob(task), rows.tests_blob(task.tests)


def _blobs(connection: sa.Connection, contents: Iterable[bytes]) -> dict[str, int]:
    """Ids by address; only what is new is compressed."""
    data = {rows.blob_key(content): content for content in contents}
    made = {(key,): partial(_blob, key, content) for key, content in data.items()}
    return {key: i for (key,), i in _intern(connection, blobs, ("digest",), made).items()}


def _blob(key: str, content: bytes) -> Row:
    return {"digest": key, "data": rows.pack(content)}


def _named(
    connection: sa.Connection, table: sa.Table, columns: Columns, keys: Iterable[Key]
) -> dict[Key, int]:
    """_intern() where the columns are the whole row."""
    made: dict[Key, Make] = {key: partial(dict, zip(columns, key, strict=True)) for key in keys}
    return _intern(connection, table, columns, made)


def _intern(
    connection: sa.Connection, table: sa.Table, columns: Columns, made: Mapping[Key, Make]
) -> dict[Key, int]:
    """Ids of the rows with these values in these columns; the missing ones are inserted."""
    ids = _lookup(connection, table, columns, made)
    missing = _without(made, ids)
    _insert(connection, table, [make() for make in missing.values()])
    return ids | _lookup(connection, table, columns, missing)


def _without(made: Mapping[Key, Make], ids: Mapping[Key, int]) -> dict[Key, Make]:
    return {key: make for key, make in made.items() if key not in ids}


def _lookup(
    connection: sa.Connection, table: sa.Table, columns: Columns, keys: Iterable[Key]
) -> dict[Key, int]:
    wanted = set(keys)
    firsts = iter({key[0] for key in wanted})
    found: dict[Key, int] = {}
    chosen = [table.c[name] for name in columns]
    while some := list(islice(firsts, BATCH)):
        statement = sa.select(table.c.id, *chosen).where(chosen[0].in_(some))
        found.update((tuple(row[1:]), row[0]) for row in connection.execute(statement))
    return {key: i for key, i in found.items() if key in wanted}


def _insert(connection: sa.Connection, table: sa.Table, values: Sequence[Row]) -> None:
    """What is there already stays as it is."""
    if values:
        statement = _INSERT[connection.dialect.name](table).on_conflict_do_nothing()
        connection.execute(statement, list(values))
