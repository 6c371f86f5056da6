"""A typing session as the editor sees it: `python -m benchmarks.keystrokes [--model pocket]`.

Three hundred characters of a held-out file (boltons' tableutils) are typed, one key after the
other, at intervals drawn once (log-normal, median 0.16 s, and a pause at the end of a line); each
key cancels the request of the one before it and asks for eight candidates of the line's rest, with
a deadline of 0.25 s. The last line is one JSON object: p50_ms and p95_ms from the key to its
candidates, of the keys that got any before the next; `answered`, their share; peak_memory_mb of
the whole process, peak_gpu_memory_mb of its tensors on a GPU.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch

from benchmarks.packages import BOLTONS, unpacked
from p2assist.config import GenerationConfig
from p2assist.errors import CancelledError
from p2assist.experience import Task
from p2assist.generation.generator import Generator
from p2assist.generation.local import LocalGenerator
from p2assist.generation.request import Control
from p2assist.generation.typed_ahead import TypedAhead

KEYS = 300
DEADLINE = 0.25  # seconds
FILE = "boltons/tableutils.py"
BEGIN = "    def extend(self, data):"


class Editor:
    """Types into a document and waits for no answer."""

    def __init__(self, generator: Generator, source: str) -> None:
        self.waits: list[float] = []
        self._generator = generator
        self._source = source
        self._start = source.index(BEGIN)
        self._decoder = ThreadPoolExecutor(1)
        self._cancelled = threading.Event()

    def run(self, keys: int) -> None:
        draw = random.Random(0)
        at = time.perf_counter()
        last: Future[None] | None = None
        for number in range(keys):
            typed = self._source[self._start + number]
            pause = draw.lognormvariate(-1.83, 0.5) + (0.6 if typed == "\n" else 0.0)
            self._cancelled.set()
            self._cancelled = threading.Event()
            last = self._decoder.submit(self._ask, number + 1, self._cancelled, time.perf_counter())
            at += pause
            time.sleep(max(at - time.perf_counter(), 0.0))
        if last is not None:
            last.result()
        self._decoder.shutdown()

    def _ask(self, typed: int, cancelled: threading.Event, pressed: float) -> None:
        cut = self._start + typed
        text = self._source[:cut] + self._source[self._start + KEYS :]
        waited = time.perf_counter() - pressed
        deadline = time.monotonic() - waited + DEADLINE
        control = Control(deadline=deadline, cancelled=cancelled)
        try:
            found = self._generator.generate(Task(FILE, text, cut, cut), control=control)
        except CancelledError:
            return
        if found and not cancelled.is_set():
            self.waits.append(time.perf_counter() - pressed)


def _peak() -> float:
    """Megabytes. The kernel's ru_maxrss is not asked: it counts what the parent held, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--prompt", type=int, default=0, help="most tokens of a prompt")
    given = parser.parse_args()
    source = (unpacked(BOLTONS) / FILE).read_text("utf-8")
    config = GenerationConfig(max_prompt_tokens=given.prompt)
    generator = LocalGenerator.load(given.model, config=config, dtype=given.dtype)
    editor = Editor(TypedAhead(generator), source)
    editor.run(given.keys)
    waits = [1000 * wait for wait in editor.waits]
    if len(waits) < 2:
        sys.exit("fewer than two keys were answered before the next one")
    print(
        json.dumps(
            {
                "p50_ms": round(statistics.median(waits), 1),
                "p95_ms": round(statistics.quantiles(waits, n=20, method="inclusive")[-1], 1),
                "answered": round(len(waits) / given.keys, 3),
                "peak_memory_mb": round(_peak(), 1),
                "peak_gpu_memory_mb": round(torch.cuda.max_memory_allocated() / 2**20, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
