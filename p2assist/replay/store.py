"""The store: every candidate that was made, with what its tests and its users said.

Append-only. What was committed survives kill -9 at any time; several processes may read and write
at once. Secrets are replaced before anything is written (redaction), so an experience read back
may differ from the one given, and so may its key: both keys find it. The key from before is a
SHA-256 over the unredacted text; it gives away nothing that cannot be guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock
from types import TracebackType
from typing import Any, TextIO

import sqlalchemy as sa

from p2assist.errors import CorruptStoreError
from p2assist.experience import CoveringTest, Experience, Feedback, Source, TestReport
from p2assist.replay import columns, forget, reader, redaction, rows, stats, writer
from p2assist.replay.columns import Columns
from p2assist.replay.database import connect, file_of, pragma, prepare, reading, writing
from p2assist.replay.forget import Forgotten
from p2assist.replay.rows import Entry, Event
from p2assist.replay.serial import to_json
from p2assist.replay.stats import Stats

_PAGE = 256  # experiences read at a time: each may bring a whole file's text


class Store:
    """Open with Store.open; a context manager that closes. May be used by several threads.

    Every method raises StoreError where the database refuses (disk full, no permission, locked
    too long) and CorruptStoreError where it is damaged; nothing stored is lost by it.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._redactor = redaction.Redactor()
        self._redacting = Lock()

    @classmethod
    def open(cls, url: str) -> Store:
        """The store at an SQLAlchemy URL ('sqlite:////absolute/replay.db'), made where there is
        none, migrated where an older version made it.

        Raises SchemaError where a newer version, or another program, wrote it; CorruptStoreError
        where it is damaged. In either case it is left as it is.
        """
        engine = connect(url)
        try:
            prepare(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it is, without a password."""
        return self._engine.url.render_as_string(hide_password=True)

    # Writing

    def add(
        self,
        experiences: Iterable[Experience],
        *,
        practised: tuple[str, str, str] | None = None,
        person: str = "",
    ) -> int:
        """Keep the experiences, all or none; returns how many were new.

        One that is known (by its key) is not stored twice; a report or feedback that it brings
        and that is new is appended. practised: (task key, model, adapter), noted in the same
        transaction. person: who wrote the candidates, for `forget`.

        Raises StoreError on a logprob that is no finite number, or a time without a zone.
        """
        entries = [self._entry(experience) for experience in experiences]
        with writing(self._engine) as connection:
            new = writer.add(connection, entries, person)
            if practised:
                writer.mark_practised(connection, *practised)
        return new

    def append_event(
        self,
        key: str,
        kind: str,
        data: Mapping[str, Any] | None = None,
        at: datetime | None = None,
        *,
        person: str = "",
    ) -> None:
        """Append that something happened to the experience of this key (or its beginning).

        data: JSON-like; its texts are redacted. at: now where None. The same event again is not
        stored twice. Raises StoreError where no experience has the key.
        """
        event = Event(kind, at or datetime.now(UTC), redaction.value(dict(data or {})), person)
        with writing(self._engine) as connection:
            writer.append_event(connection, reader.find(connection, key), event)

    def feedback(self, key: str, feedback: Feedback, *, person: str = "") -> None:
        """Append what a user did with the experience of this key."""
        experience = self.get(key)
        clean = redaction.feedback(experience.task, feedback)
        with writing(self._engine) as connection:
            event = rows.feedback_event(clean, person)
            writer.append_event(connection, reader.find(connection, key), event)

    def mark_practised(self, task_key: str, model: str, adapter: str) -> None:
        """Note that the model with this adapter ('' for none) has practised the task."""
        with writing(self._engine) as connection:
            writer.mark_practised(connection, task_key, model, adapter)

    def forget(self, *, path: str = "", person: str = "") -> Forgotten:
        """Remove everything of a source file, or of a person; the one removal there is.

        On SQLite the freed space is overwritten. Copies, exports and adapters are not reached.
        """
        if bool(path) == bool(person):
            raise ValueError("forget wants a path or a person, one of them")
        with writing(self._engine) as connection:
            if path:
                gone = forget.forget_path(connection, path)
            else:
                gone = forget.forget_person(connection, person)
        if file_of(self._engine.url):
            pragma(self._engine, "wal_checkpoint(TRUNCATE)")  # the log holds the old pages
        return gone

    # Reading

    def get(self, key: str) -> Experience:
        """The experience of this key, or of the only key that begins so; StoreError otherwise."""
        with reading(self._engine) as connection:
            return reader.fetch(connection, [reader.find(connection, key)], strict=True)[0]

    def fetch(self, ids: Sequence[int]) -> list[Experience]:
        """Experiences by row, in the given order; rows may repeat. StoreError on a missing one."""
        with reading(self._engine) as connection:
            return reader.fetch(connection, ids, strict=True)

    def experiences(
        self,
        *,
        path: str | None = None,
        source: Source | None = None,
        tested: bool | None = None,
        model: str | None = None,
        adapter: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Iterator[Experience]:
        """Experiences, newest last; None matches all, adapter '' the base model. limit: only the
        newest so many; offset: passing over so many newest. Read a page at a time; what is added
        meanwhile is not seen."""
        with reading(self._engine) as connection:
            ids = reader.select_ids(
                connection,
                path=path,
                source=source,
                tested=tested,
                model=model,
                adapter=adapter,
                limit=limit,
                offset=offset,
            )
        for at in range(0, len(ids), _PAGE):
            with reading(self._engine) as connection:
                page = reader.fetch(connection, ids[at : at + _PAGE], strict=False)
            yield from page

    def newest(self, limit: int, *, path: str | None = None) -> Iterator[Experience]:
        """The newest so many experiences, newest last."""
        return self.experiences(path=path, limit=limit)

    def events(self, key: str) -> list[Event]:
        """What happened to the experience of this key, in the order it was told."""
        with reading(self._engine) as connection:
            return reader.events_of(connection, reader.find(connection, key))

    def practised(self, model: str, adapter: str) -> set[str]:
        """Keys of the tasks that the model with this adapter has practised."""
        with reading(self._engine) as connection:
            return reader.practised_keys(connection, model, adapter)

    def columns(self) -> Columns:
        """The whole store as numpy columns, for samplers."""
        with reading(self._engine) as connection:
            return columns.load(connection)

    def tests(self, ids: Iterable[int]) -> dict[int, tuple[CoveringTest, ...]]:
        """The lists of tests that Columns.tests names, with their digests at the time."""
        with reading(self._engine) as connection:
            found = reader.load_blobs(connection, ids)
        return {i: rows.tests_of(data) for i, data in found.items()}

    def stats(self) -> Stats:
        with reading(self._engine) as connection:
            return stats.count(connection)

    def export(self, stream: TextIO, **filters: Any) -> int:
        """Experiences as JSON lines (serial.to_json); filters as in experiences(). Returns how
        many."""
        number = 0
        for number, experience in enumerate(self.experiences(**filters), 1):  # noqa: B007
            stream.write(json.dumps(to_json(experience)) + "\n")
        return number

    def check(self) -> None:
        """Look at every page of an SQLite store (slow); raises CorruptStoreError on damage."""
        if self._engine.dialect.name != "sqlite":
            return
        with reading(self._engine) as connection:
            found = list(connection.exec_driver_sql("PRAGMA integrity_check(5)").scalars())
        if found != ["ok"]:
            raise CorruptStoreError(
                f"{self.url} is damaged ({'; '.join(found)}): put a copy of it back, or save what "
                "can be read with `p2assist replay export`"
            )

    def _entry(self, experience: Experience) -> Entry:
        rows.check(experience)
        with self._redacting:
            clean = self._redactor.experience(experience)
        if clean.report:
            clean = replace(clean, report=_dated(clean.report, clean.task.tests))
        return Entry(clean, experience.key, experience.task.key)


def _dated(report: TestReport, tests: Sequence[CoveringTest]) -> TestReport:
    """The report with the digests that only the task knows: a pass rate is of certain tests."""
    if all(outcome.digest for outcome in report.outcomes):
        return report
    known = {test.node_id: test.digest for test in tests}
    outcomes = (
        o if o.digest else replace(o, digest=known.get(o.node_id, "")) for o in report.outcomes
    )
    return replace(report, outcomes=tuple(outcomes))
