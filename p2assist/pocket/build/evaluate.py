"""Stage 5: how good the weights are on packages that the corpus does not hold."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.progress import track
from tokenizers import Tokenizer
from transformers import DynamicCache, LlamaForCausalLM

from .corpus import Document
from .prompts import Limits, Prompt, left_to_right, suffix_first, suffix_first_healed
from .recipe import EvaluateRecipe
from .tasks import Task, line_tasks
from .tokenizer import END, load, token_id

_CONTEXT = 512  # tokens of one window when measuring bits per byte
_STRIDE = 256
_ORDERS: tuple[tuple[str, Prompt], ...] = (
    ("spm", suffix_first),
    ("spm_healed", suffix_first_healed),
    ("l2r", left_to_right),
)


@dataclass(frozen=True)
class Report:
    """The figures of one model.

    em1 and em8 are shares of the tasks whose first, or any, completion is the line itself.
    """

    tasks: int
    beams: int
    bits_per_byte: float
    spm_em1: float
    spm_em8: float
    spm_healed_em1: float
    spm_healed_em8: float
    l2r_em1: float
    l2r_em8: float
    by_package: dict[str, dict[str, float]]

    def write(self, path: Path) -> None:
        """Save as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf8")


@torch.inference_mode()
def evaluate(recipe: EvaluateRecipe, documents: Sequence[Document], weights: Path) -> Report:
    """Measure the weights on the held-out documents."""
    tokenizer = load(weights)
    model = LlamaForCausalLM.from_pretrained(weights, dtype=torch.bfloat16).eval()
    tasks = line_tasks(
        documents, count=recipe.tasks, min_characters=recipe.min_characters, seed=recipe.seed
    )
    packages = sorted({task.package for task in tasks})
    table: dict[str, dict[str, float]] = {name: {} for name in packages}
    totals: dict[str, float] = {}
    for name, prompt in _ORDERS:
        first, any_ = _exact_match(recipe, tasks, model, tokenizer, prompt)
        for key, hits in ((f"{name}_em1", first), (f"{name}_em8", any_)):
            totals[key] = sum(map(sum, hits.values())) / len(tasks)
            for package in packages:
                table[package][key] = sum(hits[package]) / len(hits[package])
    nats, size = 0.0, 0
    for package in track(packages, "bits per byte"):
        texts = [document.text for document in documents if document.source == package]
        text = "\n".join(texts)[: recipe.bits_characters // len(packages)]
        loss, width = _nats(model, tokenizer, text), len(text.encode())
        table[package]["bits_per_byte"] = loss / math.log(2) / width
        nats, size = nats + loss, size + width
    return Report(
        tasks=len(tasks),
        beams=recipe.beams,
        bits_per_byte=nats / math.log(2) / size,
        by_package=table,
        **totals,
    )


def _exact_match(
    recipe: EvaluateRecipe,
    tasks: Sequence[Task],
    model: LlamaForCausalLM,
    tokenizer: Tokenizer,
    prompt: Prompt,
) -> tuple[dict[str, list[bool]], dict[str, list[bool]]]:
    """(hits with one beam, hits among `beams`), a list for each package."""
    limits = Limits(recipe.prefix_tokens, recipe.suffix_tokens)
    first: dict[str, list[bool]] = defaultdict(list)
    any_: dict[str, list[bool]] = defaultdict(list)
    for task in track(tasks, prompt.__name__):
        ids = prompt(tokenizer, task, limits)
        wanted = task.middle.strip()
        for beams, hits in ((1, first), (recipe.beams, any_)):
            lines = complete_line(model, tokenizer, ids, beams=beams, most=recipe.max_tokens)
            hits[task.package].append(wanted in [line.strip() for line in lines])
    return first, any_


def complete_line(
    model: LlamaForCausalLM, tokenizer: Tokenizer, ids: list[int], *, beams: int, most: int
) -> list[str]:
    """The likeliest ends of the line, best first, by their total log probability.

    A line ends with the end token or its newline; unfinished ones are left out. A plain
    loop to measure with, not the one that serves an editor.
    """
    end = token_id(tokenizer, END)
    cache = DynamicCache()
    out = model(input_ids=torch.tensor([ids]), past_key_values=cache, logits_to_keep=1)
    scores, chosen = torch.log_softmax(out.logits[0, -1].float(), -1).topk(beams)
    cache.batch_repeat_interleave(beams)
    sequences = [[int(token)] for token in chosen]
    done: list[tuple[float, str]] = []
    for _ in range(most):
        going = []
        for i, sequence in enumerate(sequences):
            text = tokenizer.decode(sequence)
            if sequence[-1] == end or "\n" in text:
                done.append((float(scores[i]), text.split("\n")[0]))
            else:
                going.append(i)
        best = sorted((score for score, _ in done), reverse=True)[:beams]
        if not going or (len(best) == beams and best[-1] >= float(scores[going].max())):
            break
        cache.reorder_cache(torch.tensor(going))
        scores = scores[going]
        sequences = [sequences[i] for i in going]
        last = torch.tensor([[sequence[-1]] for sequence in sequences])
        out = model(input_ids=last, past_key_values=cache)
        logits = torch.log_softmax(out.logits[:, -1].float(), -1)
        width = logits.shape[1]
        scores, flat = (scores[:, None] + logits).flatten().topk(beams)
        parents = flat // width
        cache.reorder_cache(parents)
        sequences = [
            [*sequences[int(p)], int(t)] for p, t in zip(parents, flat % width, strict=True)
        ]
    unique = dict.fromkeys(text for _, text in sorted(done, key=lambda pair: -pair[0]))
    return list(unique)[:beams]


def _nats(model: LlamaForCausalLM, tokenizer: Tokenizer, text: str) -> float:
    """The text's negative log likelihood, every token seeing at least _STRIDE before it."""
    ids = [token_id(tokenizer, END), *tokenizer.encode(text).ids]
    total, known = 0.0, 1
    while known < len(ids):
        start = max(0, known - _STRIDE)
        window = torch.tensor([ids[start : start + _CONTEXT]])
        logits = model(input_ids=window).logits[0, :-1].float()
        losses = torch.nn.functional.cross_entropy(logits, window[0, 1:], reduction="none")
        total += float(losses[known - start - 1 :].sum())
        known = start + window.shape[1]
    return total
