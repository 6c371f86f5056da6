"""What a developer waits for: `python -m benchmarks.editor [--lines 30]`.

The real language server (`p2assist lsp`) with the embedded model, spoken to over its pipes as an
editor does, on toolz with toolz's own tests: lines of its functions typed again, key by key (see
typist.py). The last line is one JSON object:

ghost_p50_ms, ghost_p95_ms  from a key to its ghost text, the server's debounce included; of the
                            keys that got any before the next one (`answered`, their share)
evidence_p50_ms             from a key to the evidence of what is shown, where the typist looks
evidence_p95_ms             the same, at the slow end
tested_share                of what was looked at, the share that the tests had spoken on within 3 s
overhead_p50_ms, overhead_p95_ms
                            from a request to its ghost text, at the server, with a model that takes
                            no time and without debounce: what the server itself takes
overhead_seen_p95_ms        the same as the typist sees it, from the key on: with the pipes, and two
                            cores that the typist, the server and the tests share
idle_rss_mb                 resident memory of the language server and the model process, afterwards
idle_tests_mb               of the warm test server beside them
idle_cpu_share              of one core, of all of them, while nobody types
start_ms                    from starting the server to its first ghost text, the model process
                            running already (the second window)
start_cold_ms               the same where nothing runs yet: the first window of the day
keys, accepted              that were pressed, and ghost texts that were taken
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from rich.console import Console

from benchmarks.packages import PLACE, TOOLZ, interpreter, unpacked
from benchmarks.subjects import cache
from benchmarks.typist import Line, Seen, Typist, session

SETTLE = 3.0  # seconds until nothing of the session is left to do
MODELLESS = [sys.executable, "-m", "benchmarks.modelless"]
P2ASSIST = str(Path(sys.executable).with_name("p2assist"))
err = Console(stderr=True)


async def started(root: Path, env: dict[str, str], line: Line, **settings: object) -> float:
    """Milliseconds from starting the server to its first answer."""
    typist = Typist(root)
    began = time.perf_counter()
    await typist.begin([P2ASSIST, "lsp"], env, **settings)
    await typist.first(line)
    took = 1000 * (time.perf_counter() - began)
    await typist.close()
    return took


async def typed(
    command: list[str],
    root: Path,
    env: dict[str, str],
    lines: Sequence[Line],
    idle: float = 0.0,
    **settings: object,
) -> tuple[Seen, dict[str, float]]:
    """The session; then, where `idle` seconds are given, what the server takes doing nothing."""
    typist = Typist(root)
    await typist.begin(command, env, **settings)
    await typist.until("ready")
    looks = command is not MODELLESS
    for number, line in enumerate(lines, 1):
        await typist.type(line, looks=looks)
        err.print(f"{number}/{len(lines)} {line.path}", highlight=False)
    figures = await resting(typist.pid, env, idle) if idle else {}
    await typist.close()
    return typist.seen, figures


async def resting(pid: int, env: dict[str, str], seconds: float) -> dict[str, float]:
    await asyncio.sleep(SETTLE)
    server = psutil.Process(pid)
    command = [P2ASSIST, "serve", "--status", "--json"]
    told = subprocess.run(command, env=env, capture_output=True, check=True).stdout
    model = psutil.Process(json.loads(told)["pid"])
    tests = server.children(recursive=True)
    everything = [server, model, *tests]
    before = [one.cpu_times() for one in everything]
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    after = [one.cpu_times() for one in everything]
    busy = sum(b.user + b.system - a.user - a.system for a, b in zip(before, after, strict=True))
    return {
        "idle_rss_mb": round(_megabytes([server, model]), 1),
        "idle_tests_mb": round(_megabytes(tests), 1),
        "idle_cpu_share": round(busy / took, 4),
    }


def _megabytes(processes: Sequence[psutil.Process]) -> float:
    return float(sum(one.memory_info().rss for one in processes) / 2**20)


async def measured(lines: int, idle: float, runtime: str) -> dict[str, object]:
    root = unpacked(TOOLZ, cache() / "editor")
    env = os.environ | {"P2ASSIST_RUNTIME": runtime, "XDG_CONFIG_HOME": runtime}
    settings = {"python": str(interpreter(PLACE))}
    todo = session(root, lines)
    try:
        cold = await started(root, env, todo[0], **settings)
        warm = statistics.median([await started(root, env, todo[0], **settings) for _ in range(3)])
        seen, rest = await typed([P2ASSIST, "lsp"], root, env, todo, idle, **settings)
        none, times = {"least": 0, "most": 0}, Path(runtime) / "times"
        env |= {"P2ASSIST_TIMES": str(times)}
        alone, _ = await typed(MODELLESS, root, env, todo, debounce=none, **settings)
        own = [float(line) for line in times.read_text().splitlines()]
    finally:
        subprocess.run([P2ASSIST, "serve", "--stop"], env=env, capture_output=True, check=False)
    return {
        "ghost_p50_ms": round(statistics.median(seen.ghosts), 1),
        "ghost_p95_ms": _p95(seen.ghosts),
        "evidence_p50_ms": round(statistics.median(seen.evidence), 1),
        "evidence_p95_ms": _p95(seen.evidence),
        "tested_share": round(len(seen.evidence) / seen.looked, 3),
        "answered": round(len(seen.ghosts) / seen.keys, 3),
        "overhead_p50_ms": round(statistics.median(own), 1),
        "overhead_p95_ms": _p95(own),
        "overhead_seen_p95_ms": _p95(alone.ghosts),
        **rest,
        "start_ms": round(warm),
        "start_cold_ms": round(cold),
        "keys": seen.keys,
        "accepted": seen.accepted,
    }


def _p95(values: Sequence[float]) -> float:
    return round(statistics.quantiles(values, n=20, method="inclusive")[-1], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=30, help="lines to type")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds of doing nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="p2-") as runtime:  # a socket's path is short
        print(json.dumps(asyncio.run(measured(given.lines, given.idle, runtime))))


if __name__ == "__main__":
    main()
