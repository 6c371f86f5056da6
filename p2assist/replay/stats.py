"""Counts of the whole store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from p2assist.replay.database import file_of
from p2assist.replay.reader import latest_report
from p2assist.replay.rows import FEEDBACK, SOURCE_OF
from p2assist.replay.tables import candidates, events, practised, reports, tasks


@dataclass(frozen=True, slots=True)
class Stats:
    """tasks: places completed. practised: (task, model, adapter) done by practice. candidates:
    experiences; distinct: different texts, task by task, whoever made them. tested: with a pass
    rate; passing_all: of those, every covering test passes; untested: the others. by_source,
    by_feedback: counts by Source and by FeedbackKind. bytes: on disk, 0 where it cannot be told.
    first, last: when the oldest and the newest experience was made."""

    tasks: int
    practised: int
    candidates: int
    distinct: int
    tested: int
    passing_all: int
    untested: int
    by_source: Mapping[str, int]
    by_feedback: Mapping[str, int]
    bytes: int
    first: datetime | None
    last: datetime | None


def count(connection: sa.Connection) -> Stats:
    c, r = candidates.c, reports.c
    texts = sa.select(c.task_id, c.text).distinct().subquery()
    verdict = candidates.join(reports, r.id == latest_report())
    says = sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(sa.case((r.complete & (r.passed == r.total), 1), else_=0)), 0),
    )
    tested, passing = connection.execute(says.select_from(verdict).where(r.total > 0)).one()
    total = _rows(connection, candidates)
    first, last = connection.execute(
        sa.select(sa.func.min(c.created), sa.func.max(c.created))
    ).one()
    told = sa.select(events.c.kind, sa.func.count()).group_by(events.c.kind)
    return Stats(
        tasks=_rows(connection, tasks),
        practised=_rows(connection, practised),
        candidates=total,
        distinct=_rows(connection, texts),
        tested=tested,
        passing_all=passing,
        untested=total - tested,
        by_source={
            SOURCE_OF[code].value: number
            for code, number in connection.execute(
                sa.select(c.source, sa.func.count()).group_by(c.source).order_by(c.source)
            )
        },
        by_feedback={kind: number for kind, number in connection.execute(told) if kind in FEEDBACK},
        bytes=_bytes(connection),
        first=first,
        last=last,
    )


def _rows(connection: sa.Connection, table: sa.FromClause) -> int:
    return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


def _bytes(connection: sa.Connection) -> int:
    if connection.dialect.name == "postgresql":
        size: Any = connection.scalar(sa.text("SELECT pg_database_size(current_database())"))
        return int(size)
    file = file_of(connection.engine.url)
    if file is None:
        return 0
    parts = (file, Path(f"{file}-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())
