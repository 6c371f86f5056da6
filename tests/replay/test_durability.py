"""kill -9 at any moment, and two processes at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from p2assist.replay.store import Store

_WRITER = """
import sys
from p2assist.experience import Candidate, Experience, Outcome, Task, TestOutcome, TestReport
from p2assist.replay.store import Store

url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
source = "def f():\\n    return 1\\n"
report = TestReport((TestOutcome("t::a", Outcome.PASSED, digest="d"),))
with Store.open(url) as store:
    for i in range(count):
        task = Task(f"{name}.py", source, 13, 21, function="f")
        made = [Experience(task, Candidate(f"{i} {j}", -1.0, 2, model=name), report) for j in "ab"]
        store.add(made, practised=(f"{name}{i}", name, ""))
        print(f"{name}{i}", *[e.key for e in made], flush=True)
"""


def _writer(url: str, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, url, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _kill(process: subprocess.Popen[str]) -> list[str]:
    """Kills it and returns the lines that were left to read; one may be cut short."""
    os.kill(process.pid, signal.SIGKILL)
    rest, _ = process.communicate()
    return [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]


def test_kill_9_loses_nothing_committed(url: str) -> None:
    rng = random.Random(20260101)
    printed: list[list[str]] = []
    for turn in range(10):
        process = _writer(url, f"w{turn}", 100_000)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(rng.randint(1, 12))]
        time.sleep(rng.random() * 0.05)  # anywhere in the next transactions
        lines += _kill(process)
        printed += [line.split() for line in lines]
        with Store.open(url) as store:
            store.check()
            there = {e.key for e in store.experiences()}
            done = {key for old in range(turn + 1) for key in store.practised(f"w{old}", "")}
        for task_key, *keys in printed:
            assert task_key in done
            assert there.issuperset(keys)
        # An addition is whole or not there at all.
        assert len(there) == 2 * len(done)
    assert len(printed) >= 10


def test_kill_9_while_the_store_is_made(tmp_path: Path) -> None:
    rng = random.Random(7)
    for turn in range(4):
        url = f"sqlite:///{tmp_path / str(turn) / 'replay.db'}"
        process = _writer(url, "w", 3)
        made = tmp_path / str(turn) / "replay.db"
        while not made.exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.random() * 0.03)
        _kill(process)
        with Store.open(url) as store:
            store.check()
            assert store.stats().candidates % 2 == 0


def test_two_processes_make_and_fill_one_store(url: str) -> None:
    both = [_writer(url, name, 25) for name in ("one", "two")]
    for process in both:
        process.communicate()
    assert [process.returncode for process in both] == [0, 0]
    with Store.open(url) as store:
        assert store.stats().candidates == 100
        assert len(store.practised("one", "")) == len(store.practised("two", "")) == 25
        store.check()
