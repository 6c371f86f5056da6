"""How fast a batch is drawn from a million experiences, and how fast a store is read.

    python -m benchmarks.replay [--experiences 1000000] [--batch 4096] [--rows 1000000]

Progress goes to stderr; the last line of stdout is one JSON object:
    experiences, batch     what was sampled from, and how much
    seconds                by sampler: the median of five draws, P2Value computed in each
    store_rows             experiences in a real SQLite store, filled through Store.add
    fill_s, store_mb       what that took
    open_to_columns_s      opening it in a new process's state and reading its columns
    batch_fetch_s          drawing a batch from it and reading those experiences whole
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from p2assist.experience import (
    Candidate,
    CoveringTest,
    Experience,
    Outcome,
    Task,
    TestOutcome,
    TestReport,
)
from p2assist.replay.columns import Columns
from p2assist.replay.samplers import SAMPLERS, sampler
from p2assist.replay.store import Store

PER_TASK = 10  # candidates of a task
ADDED = 5_000  # experiences in one transaction


def synthetic(count: int, rng: np.random.Generator) -> Columns:
    """Columns as a store of that many experiences would have them; one in ten is untested."""
    total = rng.integers(1, 12, count) * (rng.random(count) < 0.9)
    task = np.arange(count) // PER_TASK
    zeros = np.zeros(count, dtype=np.int64)
    tokens = rng.integers(2, 48, count)
    return Columns(
        id=np.arange(1, count + 1),
        task=task,
        function=task // 5,
        maker=zeros,
        person=zeros,
        source=zeros,
        logprob=-tokens * rng.exponential(0.6, count),
        num_tokens=tokens,
        passed=(rng.random(count) * (total + 1)).astype(np.int64),
        total=total,
        tests=zeros,
    )


def draw_seconds(columns: Columns, batch: int) -> Iterator[tuple[str, float]]:
    """The median of five draws by each sampler."""
    for name in SAMPLERS:
        one, rng = sampler(name, beta=0.5), np.random.default_rng(0)
        yield (
            name,
            statistics.median(
                timed(lambda one=one, rng=rng: one.sample(columns, batch, rng)) for _ in range(5)
            ),
        )


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def experiences(count: int, rng: np.random.Generator) -> Iterator[Experience]:
    """Small but whole: ten candidates a task, three tests, token ids, a message for failures."""
    tests = tuple(CoveringTest(f"tests/test_a.py::test_{i}", f"digest{i}") for i in range(3))
    for number in range(0, count, PER_TASK):
        source = f"def work{number}(items):\n    return sum(items) + {number}\n"
        place = f"pkg/module{number // 500}.py"
        start = source.index("return")
        task = Task(place, source, start, len(source) - 1, function=f"work{number}", tests=tests)
        for rank in range(min(PER_TASK, count - number)):
            yield _experience(task, rank, rng)


def _experience(task: Task, rank: int, rng: np.random.Generator) -> Experience:
    tokens = int(rng.integers(4, 24))
    candidate = Candidate(
        text=f"return sum(items) * {rank}",
        logprob=-float(rng.exponential(0.6)) * tokens,
        num_tokens=tokens,
        rank=rank,
        token_ids=tuple(range(tokens)),
        model="pocket",
    )
    outcomes = tuple(
        TestOutcome(test.node_id, Outcome.PASSED, digest=test.digest, seconds=0.01)
        if ok
        else TestOutcome(test.node_id, Outcome.FAILED, digest=test.digest, message="assert 3 == 4")
        for test, ok in zip(task.tests, rng.random(3) < 0.5, strict=True)
    )
    return Experience(task, candidate, TestReport(outcomes))


def store_seconds(folder: Path, rows: int, batch: int, progress: Progress) -> dict[str, float]:
    """Fill a store, then open and read it."""
    url = f"sqlite:///{folder / 'replay.db'}"
    rng = np.random.default_rng(0)
    bar = progress.add_task("filling a store", total=rows)
    pending = experiences(rows, rng)
    start = time.perf_counter()
    with Store.open(url) as store:
        while some := [e for _, e in zip(range(ADDED), pending, strict=False)]:
            store.add(some)
            progress.advance(bar, len(some))
        size = store.stats().bytes
    filled = time.perf_counter() - start
    progress.update(bar, description="reading the store", total=None)
    start = time.perf_counter()
    with Store.open(url) as store:
        columns = store.columns()
        opened = time.perf_counter() - start
        drawn = sampler("power").sample(columns, batch, rng)
        fetched = timed(lambda: store.fetch(drawn.ids.tolist()))
    return {
        "store_rows": len(columns),
        "fill_s": round(filled, 2),
        "store_mb": round(size / 1e6, 1),
        "open_to_columns_s": round(opened, 3),
        "batch_fetch_s": round(fetched, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiences", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the real store")
    given = parser.parse_args()
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("sampling", total=len(SAMPLERS))
        seconds: dict[str, float] = {}
        columns = synthetic(given.experiences, np.random.default_rng(0))
        for name, taken in draw_seconds(columns, given.batch):
            seconds[name] = round(taken, 4)
            progress.advance(bar)
        with tempfile.TemporaryDirectory() as folder:
            stored = store_seconds(Path(folder), given.rows, given.batch, progress)
    found = {"experiences": given.experiences, "batch": given.batch, "seconds": seconds, **stored}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
