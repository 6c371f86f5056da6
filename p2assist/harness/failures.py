"""How often each test failed of late, and how long it took: kept beside the map, for guessing."""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2assist.experience import Change, Outcome, TestReport
from p2assist.harness.mapping import write_atomically

FILE = "failures.json"
MOST = 2000  # tests that are remembered, those that failed last
_HALVED = 64  # runs of a test after which its past counts half
_BIGGEST = 4 << 20  # bytes of a file that is read
_BETWEEN = 200  # reports between two times that it is written
_SHORTEST = 0.001  # seconds that any test takes at least


@dataclass(slots=True)
class _Past:
    """runs, failed: counts, the older ones by halves. seconds: of a run, the newer ones first."""

    runs: float = 0.0
    failed: float = 0.0
    seconds: float = 0.0

    @property
    def worth(self) -> float:
        """Failures to be expected in a second."""
        return self.failed / self.runs / max(self.seconds, _SHORTEST)


class Failures:
    """What it says is a guess: no verdict hangs on it, so processes that share the file may
    overwrite each other's, and a damaged file is begun anew. Thread-safe."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._past = _read(file)
        self._unsaved = 0

    def note(self, report: TestReport) -> None:
        """Takes in a report. What timed out or crashed says nothing of one test."""
        with self._lock:
            for outcome in report.outcomes:
                broken = outcome.change is Change.BROKEN
                if outcome.outcome in (Outcome.FAILED, Outcome.ERROR, Outcome.PASSED):
                    self._note(outcome.node_id, outcome.seconds, broken=broken)
            self._unsaved += 1
            due = self._unsaved >= _BETWEEN
        if due:
            self.save()

    def _note(self, node_id: str, seconds: float, *, broken: bool) -> None:
        past = self._past.get(node_id)
        if past is None and not broken:
            return
        if past is None:
            past = self._past[node_id] = _Past(seconds=seconds)
            while len(self._past) > MOST:
                self._past.popitem(last=False)
        if broken:
            self._past.move_to_end(node_id)
        if past.runs >= _HALVED:
            past.runs, past.failed = past.runs / 2, past.failed / 2
        past.runs, past.failed = past.runs + 1, past.failed + broken
        past.seconds += (seconds - past.seconds) / 4

    def likeliest(self, node_ids: Iterable[str]) -> list[str]:
        """Those of them that ever failed, by the failures that a second of each may show."""
        with self._lock:
            known = [(self._past[n].worth, n) for n in node_ids if n in self._past]
        return [node_id for worth, node_id in sorted(known, key=lambda one: -one[0])]

    def save(self) -> None:
        """Writes the file; where that cannot be, it is not kept."""
        with self._lock:
            if not self._unsaved:
                return
            told = {n: [p.runs, p.failed, p.seconds] for n, p in self._past.items()}
            self._unsaved = 0
        with suppress(OSError):
            write_atomically(self._file, json.dumps(told).encode("utf-8", "surrogatepass"))


def _read(file: Path) -> OrderedDict[str, _Past]:
    try:
        if file.stat().st_size > _BIGGEST:
            return OrderedDict()
        told: dict[str, Any] = json.loads(file.read_bytes())
        found = OrderedDict((n, _Past(*map(float, past))) for n, past in list(told.items())[-MOST:])
    except (OSError, ValueError, TypeError, AttributeError):
        return OrderedDict()
    return found if all(_sound(past) for past in found.values()) else OrderedDict()


def _sound(past: _Past) -> bool:
    finite = all(math.isfinite(n) for n in (past.runs, past.failed, past.seconds))
    return finite and 0 <= past.failed <= past.runs >= 1 and past.seconds >= 0
