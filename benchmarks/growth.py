"""How the cost of beam search grows with the prompt, the beams and the tokens: a plot."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from rich.console import Console
from rich.progress import track

if TYPE_CHECKING:
    from benchmarks.beam import Model

SETTINGS: dict[str, tuple[int, ...]] = {
    "tokens of the prompt": (100, 200, 400, 800, 1600),
    "beams": (1, 2, 4, 8, 16),
    "tokens of each beam": (5, 10, 20, 40),
}
USUAL = {"tokens of the prompt": 400, "beams": 8, "tokens of each beam": 20}
ROUNDS = 3
err = Console(stderr=True)


def draw(model: Model, source: str, file: Path) -> None:
    """source: text that prompts are taken from; file: where the plot goes (.svg or .png)."""
    ids = model.generator.encoder.vocabulary.encode(source)
    figure, axes = plt.subplots(1, len(SETTINGS), figsize=(11, 3.2), sharey=True)
    for axis, (varied, values) in zip(axes, SETTINGS.items(), strict=True):
        lines: dict[str, list[float]] = {}
        for value in track(values, varied, console=err):
            for name, seconds in _times(model, ids, USUAL | {varied: value}).items():
                lines.setdefault(name, []).append(1000 * seconds)
        for name, times in lines.items():
            axis.plot(values, times, marker="o", markersize=3, label=name)
        axis.set(xlabel=varied, xscale="log", yscale="log", xticks=values, xticklabels=values)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("milliseconds")
    axes[0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def _times(model: Model, ids: Sequence[int], usual: dict[str, int]) -> dict[str, float]:
    """The least of a few rounds, in turn."""
    prompt = ids[: usual["tokens of the prompt"]]
    beams, tokens = usual["beams"], usual["tokens of each beam"]
    best = dict.fromkeys(
        ("transformers", "p2assist, first request", "next keystroke"), float("inf")
    )

    def note(name: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        best[name] = min(best[name], time.perf_counter() - start)

    for _ in range(ROUNDS):
        note("transformers", lambda: model.generate(prompt, beams=beams, tokens=tokens))
        model.forward.cache.clear()  # type: ignore[attr-defined]
        note("p2assist, first request", lambda: model.ours(prompt, beams, tokens))
        model.warm(prompt)
        note("next keystroke", lambda: model.ours(prompt, beams, tokens))
    return best
