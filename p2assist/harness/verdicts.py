"""Verdicts kept on disk beside the map, so that the next process need not run them again."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from p2assist.experience import Outcome, TestOutcome, TestReport
from p2assist.harness.ground import Ground

FILE = "verdicts.db"
MOST, MOST_BYTES = 20_000, 64 << 20
_OLDEST = 7 * 24 * 3600.0  # seconds: there are tests that know the date
_PENDING = 50  # verdicts, or
_BETWEEN = 1.0  # seconds between two times that they are written
_VERSION = 1
_STEADY = frozenset({Outcome.PASSED, Outcome.FAILED, Outcome.ERROR})


@dataclass(frozen=True, slots=True)
class Place:
    """state: of the tree, before the run. name: of what the run is, and what it stands on."""

    state: str
    name: str


class Verdicts:
    """Whole reports by what they are of and what they stand on. What timed out or crashed is not
    kept: another machine's load may be the reason. The oldest go first. A file that is damaged, or
    of another version, is begun anew; one that cannot be written keeps nothing. Thread-safe.

    clean: what a report is put through before it is written (secrets are taken out).
    """

    def __init__(
        self, file: Path, ground: Ground, clean: Callable[[TestReport], TestReport]
    ) -> None:
        self._file, self._ground, self._clean = file, ground, clean
        self._lock = threading.Lock()
        self._pending: list[tuple[Place, TestReport]] = []
        self._written = 0.0
        self._opened: sqlite3.Connection | None = None

    def place(self, said: str) -> Place | None:
        """Where the report of a run belongs, as the ground is now; to be asked before it runs.
        said: what the run is of (see bench.py). None where the ground is not known."""
        state, digest = self._ground.now
        return Place(state, f"{digest} {said}") if digest else None

    def find(self, place: Place) -> TestReport | None:
        """The report, where there is one."""
        if not self._file.exists():
            return None
        query = "SELECT report FROM verdicts WHERE name = ? AND made > ?"
        asked = (place.name, time.time() - _OLDEST)
        with self._lock:
            row = self._ask(lambda known: known.execute(query, asked).fetchone())
        return None if row is None else _from_bytes(row[0])

    def keep(self, place: Place, report: TestReport) -> None:
        """Keeps it, if the ground is still the same when it is written."""
        if report.reason or not all(o.outcome in _STEADY for o in report.outcomes):
            return
        with self._lock:
            self._pending.append((place, report))
            waited = time.monotonic() - self._written > _BETWEEN
            if waited or len(self._pending) >= _PENDING:
                self._flush()

    def close(self) -> None:
        """Writes what is pending."""
        with self._lock:
            self._flush()
            if self._opened:
                self._opened.close()
                self._opened = None

    def _flush(self) -> None:
        """A tree that looks now as it did before the run did not change meanwhile: times of a
        change only grow."""
        if not self._pending:
            return
        state, now = self._ground.unchanged(), time.time()
        rows = [
            (place.name, now, _as_bytes(self._clean(report)))
            for place, report in self._pending
            if place.state == state
        ]
        self._pending.clear()
        self._ask(lambda known: _write(known, rows))
        self._written = time.monotonic()

    def _ask(self, what: Callable[[sqlite3.Connection], Any]) -> Any:
        """The answer; None where the file cannot be used."""
        try:
            if self._opened is None:
                self._opened = _open(self._file)
            return what(self._opened)
        except sqlite3.OperationalError:  # it is locked, full or not ours to write
            return None
        except sqlite3.DatabaseError:
            self._begin_anew()
            return None

    def _begin_anew(self) -> None:
        if self._opened:
            self._opened.close()
            self._opened = None
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)


def _open(file: Path) -> sqlite3.Connection:
    if not file.parent.is_dir():
        raise sqlite3.OperationalError("there is no state folder")
    known = sqlite3.connect(file, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        (version,) = known.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError("another version of p2assist wrote it")
        known.execute("PRAGMA auto_vacuum = FULL")
        known.execute("PRAGMA journal_mode = WAL")
        known.execute("PRAGMA synchronous = OFF")  # what is lost is run again
        known.execute(
            "CREATE TABLE IF NOT EXISTS verdicts"
            " (name TEXT UNIQUE NOT NULL, made REAL NOT NULL, report BLOB NOT NULL)"
        )
        known.execute(f"PRAGMA user_version = {_VERSION}")
    except BaseException:
        known.close()
        raise
    return known


def _write(known: sqlite3.Connection, rows: list[tuple[str, float, bytes]]) -> None:
    with known:
        known.execute("BEGIN IMMEDIATE")
        known.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)", rows)
        (count,) = known.execute("SELECT count(*) FROM verdicts").fetchone()
        (pages,) = known.execute("PRAGMA page_count").fetchone()
        (size,) = known.execute("PRAGMA page_size").fetchone()
        if count > MOST or pages * size > MOST_BYTES:
            known.execute(
                "DELETE FROM verdicts WHERE rowid IN"
                " (SELECT rowid FROM verdicts ORDER BY rowid LIMIT ?)",
                (count // 4 + 1,),
            )


def _as_bytes(report: TestReport) -> bytes:
    return zlib.compress(json.dumps(asdict(report)).encode("utf-8", "surrogatepass"), 1)


def _from_bytes(content: bytes) -> TestReport | None:
    try:
        told = json.loads(zlib.decompress(content).decode("utf-8", "surrogatepass"))
        outcomes = (
            TestOutcome(
                **o | {"outcome": Outcome(o["outcome"]), "baseline": Outcome(o["baseline"])}
            )
            for o in told["outcomes"]
        )
        return TestReport(**told | {"outcomes": tuple(outcomes)})
    except (ValueError, TypeError, LookupError, zlib.error):
        return None
