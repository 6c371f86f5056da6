"""Stage 6: how good a model is on packages that the corpus does not hold, as an editor asks it.

Every figure goes through the path that serves an editor: LocalGenerator's beam search with its
prompt, and post-processing. Exact match at k: one of the first k candidates is, without trailing
blanks, what stood there.
"""

from __future__ import annotations

import ast
import json
import math
import statistics
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from p2assist.experience import Candidate, Task
from p2assist.generation.beam import BeamSearch
from p2assist.generation.context import ContextSource
from p2assist.generation.loading import load_network
from p2assist.generation.local import LocalGenerator
from p2assist.generation.postprocess import postprocess
from p2assist.generation.request import Context
from p2assist.generation.stop import StopRule

from . import tasks
from .recipe import EvaluateRecipe

_WINDOW, _STRIDE = 1024, 512  # tokens, when measuring bits per byte
_TIMED, _TIMED_TOKENS = 15, 20
_err = Console(stderr=True)
Drawn = Mapping[str, Sequence[Task]]  # tasks by package


@dataclass(frozen=True)
class Report:
    """The figures of one model; shares are of the tasks.

    em1, em8: exact match at 1 and 8 of one search of 8 beams. line: whole lines; rest: rests of
    lines; block: several lines; context: with repository context in the prompt. bits_per_byte:
    left to right, every token with at least _STRIDE tokens before it. valid_share: whole lines
    with whose first candidate the file parses. stop_share: whole lines that stood there behind
    which the likeliest token ends the completion. warm_ms: median of 8 beams x 20 tokens with the
    keys of all but 4 tokens of the prompt known, post-processing left out.
    """

    model: str
    tasks: int
    blocks: int
    bits_per_byte: float
    line_em1: float
    line_em8: float
    line_em1_context: float
    line_em8_context: float
    rest_em1_context: float
    rest_em8_context: float
    block_em1: float
    block_em8: float
    valid_share: float
    stop_share: float
    params: int
    bytes: int
    warm_ms: float
    by_package: dict[str, dict[str, float]]

    def write(self, path: Path) -> None:
        """Save as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf8")


@dataclass
class Score:
    """Matches of one kind of task, package by package: (at 1, at 8, parses)."""

    hits: dict[str, list[tuple[bool, bool, bool]]]

    def share(self, place: int, package: str = "") -> float:
        """Of all packages, or of one."""
        found = [hit[place] for name, hits in self.hits.items() for hit in hits
                 if package in ("", name)]  # fmt: skip
        return sum(found) / len(found)


def evaluate(
    recipe: EvaluateRecipe, roots: Mapping[str, Path], model: str, folder: Path | None = None
) -> Report:
    """Measure a model ('pocket', a folder or a hub's name) on packages given by their trees.

    folder: the model's own, whose size in bytes is told.
    """
    generator = LocalGenerator.load(model)

    def draw(kind: tasks.Draw, count: int) -> Drawn:
        least, seed = recipe.min_characters, recipe.seed
        return tasks.drawn(roots, kind, count=count, min_characters=least, seed=seed)

    def ask(chosen: Drawn, name: str, *, context: bool = False) -> Score:
        return _matches(generator, chosen, roots if context else {}, recipe.beams, name)

    whole = draw(tasks.lines, recipe.tasks)
    line = ask(whole, "lines")
    shown = ask(whole, "lines with context", context=True)
    rest = ask(draw(tasks.rests, recipe.tasks), "rests with context", context=True)
    block = ask(draw(tasks.blocks, recipe.blocks), "blocks")
    chosen = [task for found in whole.values() for task in found]
    network, backend = load_network(model)
    bits = _bits(recipe, roots, network, backend)
    return Report(
        model=model,
        tasks=sum(map(len, line.hits.values())),
        blocks=sum(map(len, block.hits.values())),
        bits_per_byte=sum(n for n, _ in bits.values()) / sum(b for _, b in bits.values()),
        line_em1=line.share(0),
        line_em8=line.share(1),
        line_em1_context=shown.share(0),
        line_em8_context=shown.share(1),
        rest_em1_context=rest.share(0),
        rest_em8_context=rest.share(1),
        block_em1=block.share(0),
        block_em8=block.share(1),
        valid_share=shown.share(2),
        stop_share=_stops(generator, chosen),
        params=sum(p.numel() for p in network.parameters()),
        bytes=sum(f.stat().st_size for f in folder.iterdir() if f.is_file()) if folder else 0,
        warm_ms=_warm_ms(generator, chosen),
        by_package={
            package: {
                "line_em1": line.share(0, package),
                "line_em8": line.share(1, package),
                "line_em1_context": shown.share(0, package),
                "line_em8_context": shown.share(1, package),
                "rest_em1_context": rest.share(0, package),
                "rest_em8_context": rest.share(1, package),
                "bits_per_byte": bits[package][0] / bits[package][1],
            }
            for package in sorted(roots)
        },
    )


def _matches(
    generator: LocalGenerator,
    chosen: Drawn,
    roots: Mapping[str, Path],
    beams: int,
    name: str,
) -> Score:
    """Ask for every task; with the context of its package where that has a root."""
    hits: dict[str, list[tuple[bool, bool, bool]]] = {package: [] for package in chosen}
    sources = {package: ContextSource(root) for package, root in roots.items()}
    everything = [(package, task) for package, found in chosen.items() for task in found]
    for package, task in track(everything, name, console=_err):
        context: Context = ()
        if package in sources:
            context = sources[package].of(task)
            context = sources[package].of(task)  # a large repository is read over several calls
        made = postprocess(generator.generate(task, beams=beams, context=context), task)
        texts = [candidate.text.rstrip() for candidate in made]
        wanted = task.reference.rstrip()
        hits[package].append((texts[:1] == [wanted], wanted in texts, _parses(task, made)))
    return Score(hits)


def _parses(task: Task, made: Sequence[Candidate]) -> bool:
    if not made:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(task.source[: task.start] + made[0].text + task.source[task.end :])
        except (SyntaxError, ValueError):
            return False
    return True


@torch.inference_mode()
def _bits(
    recipe: EvaluateRecipe, roots: Mapping[str, Path], network: Any, backend: Any
) -> dict[str, tuple[float, int]]:
    """(bits, bytes) of some text of each package."""
    found = {}
    for package in track(sorted(roots), "bits per byte", console=_err):
        text = "\n".join(text for _, text in tasks.sources(roots[package]))
        text = text[: recipe.bits_characters // len(roots)]
        ids = backend.encode(text, add_special_tokens=False).ids
        found[package] = (_nats(network, ids) / math.log(2), len(text.encode()))
    return found


def _nats(network: Any, ids: Sequence[int]) -> float:
    """Negative log likelihood of the tokens but the first."""
    total, known = 0.0, 1
    while known < len(ids):
        start = max(0, known - _STRIDE)
        window = torch.tensor([ids[start : start + _WINDOW]], device=network.device)
        logits = network(input_ids=window).logits[0, :-1].float()
        losses = torch.nn.functional.cross_entropy(logits, window[0, 1:], reduction="none")
        total += float(losses[known - start - 1 :].sum())
        known = start + window.shape[1]
    return total


@torch.inference_mode()
def _stops(generator: LocalGenerator, chosen: Sequence[Task]) -> float:
    """Share of the lines that stood there after which the likeliest token is a stop."""
    encoder, forward = generator.encoder, generator._search.forward
    stops = set(encoder.ends)
    found = 0
    with generator._decoding():
        for task in track(chosen, "stops", console=_err):
            spelled = encoder.spellings(task, task.reference)[0][:-1]
            prefilled = forward.prefill([*encoder.prompt(task), *spelled])
            token = int(prefilled.logits.argmax()) if prefilled else -1
            found += token in stops or token in encoder.vocabulary.newlines
    return found / len(chosen)


@torch.inference_mode()
def _warm_ms(generator: LocalGenerator, chosen: Sequence[Task]) -> float:
    """Median of 8 beams x 20 tokens at the next keystroke."""
    search = generator._search
    endless = BeamSearch(search.forward, search.vocabulary, ())
    times = []
    with generator._decoding():
        for task in _prompts(chosen):
            ids = generator.encoder.prompt(task)
            search.forward.prefill(ids[:-4])
            start = time.perf_counter()
            endless.run(ids, Endless(task.kind), beams=8, max_tokens=_TIMED_TOKENS)
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def _prompts(chosen: Sequence[Task]) -> Iterator[Task]:
    step = max(1, len(chosen) // _TIMED)
    yield from chosen[::step]


class Endless(StopRule):
    """Nothing ends a text, so that every search does the same work."""

    def end(self, text: str) -> int | None:
        return None

    def whole(self, text: str) -> str:
        return text
