"""Whether CUDA graphs pay, and compiling: `python -m benchmarks.graphs` (a GPU that torch sees).

The next keystroke (4 new tokens, then 8 beams of 20 tokens each) at the prompts of
`benchmarks.beam`, by one lean forward three times over: every kernel asked for by Python; the step
recorded as a CUDA graph, as p2assist does it; and recorded from what torch.compile makes of it.
The last line is one JSON object, for each of the two models:

plain_ms, recorded_ms, compiled_ms          medians of the next keystroke
recorded_start_ms, compiled_start_ms        what the first keystroke takes beyond plain_ms
recorded_pays_after, compiled_pays_after    keystrokes until that is won back: of recording against
                                            plain, of compiling against recording; null for never
logprob_gap                                 recorded's best beam - plain's, nats
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from benchmarks.beam import Model, prompts, timed
from benchmarks.shapes import qwen_shape
from p2assist.generation.beam import BeamSearch
from p2assist.generation.lean import LeanForward
from p2assist.generation.loading import quiet
from p2assist.generation.recorded import RecordedForward, Work, record

MEMORY = 1 << 30
err = Console(stderr=True)


def compiled(work: Work, given: torch.Tensor) -> Work:
    return record(torch.compile(work, dynamic=False), given)


def measure(name: str, *, count: int, rounds: int, prompt: int = 0) -> dict[str, Any]:
    model = Model(name, "auto", prompt=prompt)
    places = prompts(model.generator, count)
    weights, vocabulary = model.forward.weights, model.search.vocabulary
    forwards = {
        "plain": LeanForward(weights, memory=MEMORY),
        "recorded": RecordedForward(weights, memory=MEMORY),
        "compiled": RecordedForward(weights, memory=MEMORY, recorder=compiled),
    }
    first, times, best = {}, {}, {}
    for way, forward in forwards.items():
        model.forward, model.search = forward, BeamSearch(forward, vocabulary, ())
        if way == "plain":  # what the GPU's libraries set up at their first call is no one's
            model.ours(places[0])
        model.warm(places[0])
        first[way] = timed(partial(model.ours, places[0]))
        taken = []
        for ids in track(places, f"{name.rpartition('/')[2]} {way}", console=err):
            model.warm(ids)
            model.ours(ids)  # a longer prompt may want a room of another size
            for _ in range(rounds):
                model.warm(ids)
                taken.append(timed(partial(model.ours, ids)))
        times[way] = statistics.median(taken)
        best[way] = [model.ours(ids) for ids in places]
    start = {way: first[way] - times["plain"] for way in ("recorded", "compiled")}
    return {
        **{f"{way}_ms": round(1000 * seconds, 2) for way, seconds in times.items()},
        **{f"{way}_start_ms": round(1000 * seconds, 1) for way, seconds in start.items()},
        "recorded_pays_after": _after(start["recorded"], times["plain"] - times["recorded"]),
        "compiled_pays_after": _after(
            start["compiled"] - start["recorded"], times["recorded"] - times["compiled"]
        ),
        "logprob_gap": round(
            statistics.mean(r - p for r, p in zip(best["recorded"], best["plain"], strict=True)), 5
        ),
    }


def _after(start: float, saved: float) -> int | None:
    return math.ceil(start / saved) if saved > 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5, help="for each prompt")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.graphs needs a GPU, and torch sees none here")
    with quiet():
        pocket = measure("pocket", count=given.prompts, rounds=given.rounds)
        large = measure(str(qwen_shape()), count=given.prompts, rounds=given.rounds, prompt=512)
    found = {"device": torch.cuda.get_device_name(), **pocket}
    print(json.dumps(found | {f"qwen_{key}": value for key, value in large.items()}))


if __name__ == "__main__":
    main()
