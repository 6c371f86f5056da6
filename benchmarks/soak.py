"""Very many candidates in one server: what grows, and what is left."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from benchmarks.candidates import Case
from benchmarks.subjects import Subject
from p2assist.experience import Task

Told = Callable[[int, int, str], None]
_CHUNK = 250  # candidates between two looks
_SETTLED = 1000  # candidates after which memory is looked at for the first time
_FEWEST = 5  # covering tests at most
_LONGEST = 1500.0  # seconds


def soak(subject: Subject, mutants: Sequence[Case], count: int, told: Told) -> dict[str, object]:
    """Tests `count` candidates that are all different, in one workspace, fewer where that takes too
    long. mutants: where.

    rss: of the server and all below it, with p2assist's own process, in MB.
    """
    before = _leftovers()
    seconds: list[float] = []
    memory: list[tuple[int, float]] = []
    wrong = 0
    with subject.workspace() as space:
        pairs = list(_pairs(mutants, count))
        ends = time.monotonic() + _LONGEST
        for start in range(0, count, _CHUNK):
            if time.monotonic() > ends:
                break
            part = pairs[start : start + _CHUNK]
            begin = time.perf_counter()
            reports = list(space.tester.test_many(part))
            seconds.append((time.perf_counter() - begin) / len(part))
            wrong += sum(not report.complete or not report.outcomes for report in reports)
            memory.append((start + len(part), _memory()))
            told(start + len(part), count, f"{memory[-1][1]:.0f} MB")
    left = sorted(_leftovers() - before)
    tenth = max(len(seconds) // 10, 1)
    settled = [mb for done, mb in memory if done >= min(_SETTLED, count)]
    return {
        "soak_candidates": memory[-1][0],
        "soak_incomplete": wrong,
        "soak_rss_growth_mb": round(statistics.median(settled[-tenth:]) - settled[0], 1),
        "soak_rss_mb": round(settled[-1], 1),
        "soak_ms_first": round(1000 * statistics.median(seconds[:tenth]), 2),
        "soak_ms_last": round(1000 * statistics.median(seconds[-tenth:]), 2),
        "leftovers": left,
    }


def _pairs(cases: Sequence[Case], count: int) -> Iterator[tuple[Task, str]]:
    """The places of quick mutants, with texts that no cache has seen."""
    places = [
        case.task
        for case in cases
        if case.label in ("statement gone", "returns None") and len(case.task.tests) <= _FEWEST
    ]
    for number in range(count):
        yield replace(places[number % len(places)]), f"return None if {number} else {number}"


def _memory() -> float:
    """MB of this process and all below it, what is shared counted once."""
    total = 0
    own = psutil.Process()
    for process in (own, *own.children(recursive=True)):
        try:
            total += int(process.memory_full_info().pss)
        except psutil.Error:
            continue
    return total / 1e6


def _leftovers() -> set[str]:
    """Processes, mounts, temporary files and open descriptors, by a name each."""
    own = psutil.Process()
    time.sleep(0.5)  # what is ending may end
    processes = {f"process {p.pid}" for p in own.children(recursive=True)}
    mounts = {f"mount {line}" for line in Path("/proc/self/mounts").read_text().splitlines()}
    folder = Path(tempfile.gettempdir())
    files = {f"file {path}" for path in folder.glob("p2assist*") if _ours(path)}
    return processes | mounts | files


def _ours(path: Path) -> bool:
    """Whether the harness may have left it: plain runs beside this one make folders too."""
    try:
        return path.stat().st_uid == os.geteuid() and not path.name.startswith("p2assist-plain-")
    except FileNotFoundError:
        return False
