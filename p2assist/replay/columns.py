"""The store as numpy columns, for samplers: numbers only, no text of any candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from p2assist.p2value import P2Settings, p2value, possibility
from p2assist.replay.tables import candidates, functions, makers, reports, tasks

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_ROW_FIELDS = ("id", "task", "maker", "person", "source", "logprob", "num_tokens")


def _none() -> Ints:
    return np.zeros(0, dtype=np.int64)


def _nothing() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """n experiences, oldest first; every array is (n,).

    id: the store's rows, ascending. task, function, maker: rows of theirs; person: 0 where nobody
    is known. source: codes of replay.tables.SOURCES. logprob: nats; num_tokens: tokens in it.
    passed, total: covering tests of the newest report, 0 of 0 where untested; pass_rate: their
    ratio, nan where untested. tests: which list of tests that report is of, -1 where there is no
    report. keys: function -> its key ('path::name', or the path at module level); paths: function
    -> path; names: maker -> (model, adapter).
    """

    id: Ints = field(default_factory=_none)
    task: Ints = field(default_factory=_none)
    function: Ints = field(default_factory=_none)
    maker: Ints = field(default_factory=_none)
    person: Ints = field(default_factory=_none)
    source: Ints = field(default_factory=_none)
    logprob: Floats = field(default_factory=_nothing)
    num_tokens: Ints = field(default_factory=_none)
    passed: Ints = field(default_factory=_none)
    total: Ints = field(default_factory=_none)
    tests: Ints = field(default_factory=_none)
    keys: Mapping[int, str] = field(default_factory=dict)
    paths: Mapping[int, str] = field(default_factory=dict)
    names: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.id.size)

    @property
    def tested(self) -> NDArray[np.bool_]:
        return self.total > 0

    @property
    def pass_rate(self) -> Floats:
        rate = np.full(self.total.shape, np.nan)
        np.divide(self.passed, self.total, out=rate, where=self.tested)
        return rate

    def p2values(self, settings: P2Settings) -> Floats:
        """(n,) P2Values, nan where untested."""
        given = possibility(self.logprob, self.num_tokens, settings)
        return p2value(given, self.pass_rate, settings)

    def take(self, chosen: NDArray[np.bool_] | Ints) -> Columns:
        """The chosen rows (a mask, or indices)."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        arrays = {k: v[chosen] for k, v in values.items() if isinstance(v, np.ndarray)}
        return replace(self, **{**values, **arrays})


def load(connection: sa.Connection) -> Columns:
    """The whole store, in two passes over two tables."""
    c, r, t = candidates.c, reports.c, tasks.c
    person = sa.func.coalesce(c.person_id, sa.literal_column("0"))
    rows = sa.select(c.id, c.task_id, c.maker_id, person, c.source, c.logprob, c.num_tokens)
    found = _arrays(connection, rows.order_by(c.id), len(_ROW_FIELDS), _ROW_FIELDS.index("logprob"))
    columns: dict[str, Any] = dict(zip(_ROW_FIELDS, found, strict=True))
    task, function = _arrays(connection, sa.select(t.id, t.function_id).order_by(t.id), 2)
    said = sa.select(r.candidate_id, r.passed, r.total, r.tests_id).order_by(r.id)
    columns |= _newest(columns["id"], *_arrays(connection, said, 4))
    places = list(connection.execute(sa.select(functions.c.id, functions.c.path, functions.c.name)))
    names = connection.execute(sa.select(makers.c.id, makers.c.model, makers.c.adapter))
    return Columns(
        **columns,
        function=function[np.searchsorted(task, columns["task"])] if task.size else _none(),
        keys={i: f"{path}::{name}" if name else path for i, path, name in places},
        paths={i: path for i, path, _ in places},
        names={i: (model, adapter) for i, model, adapter in names},
    )


def _newest(ids: Ints, candidate: Ints, passed: Ints, total: Ints, tests: Ints) -> dict[str, Ints]:
    """Of reports in the order they were made, each candidate's last one."""
    _, first = np.unique(candidate[::-1], return_index=True)
    last = candidate.size - 1 - first
    at = np.searchsorted(ids, candidate[last])
    found = {"passed": np.zeros_like(ids), "total": np.zeros_like(ids)}
    found["tests"] = np.full_like(ids, -1)
    for name, values in (("passed", passed), ("total", total), ("tests", tests)):
        found[name][at] = values[last]
    return found


def _arrays(
    connection: sa.Connection, statement: sa.Select[Any], width: int, real: int = -1
) -> list[NDArray[Any]]:
    """The result's columns; int64, but float64 for the one at place `real`. The statement may
    have no parameters: the driver's own cursor runs it, since a million Row objects cost three
    times what the database does."""
    kinds = np.dtype([(str(i), "f8" if i == real else "i8") for i in range(width)])
    cursor = connection.connection.cursor()
    try:
        cursor.execute(str(statement.compile(dialect=connection.dialect)))
        rows = np.fromiter(iter(cursor.fetchone, None), dtype=kinds)
    finally:
        cursor.close()
    return [np.ascontiguousarray(rows[name]) for name in kinds.names or ()]
