"""The model card, written from what the stages recorded."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .recipe import Recipe

_CARD = """\
---
license: apache-2.0
language: [code]
library_name: transformers
pipeline_tag: text-generation
tags: [python, fill-in-the-middle, code-completion]
---

# p2assist pocket

The Python completion model inside p2assist: {parameters:.2f} million parameters,
{megabytes:.1f} MB, made to be there with no download and to be improved by LoRA on a team's own
tests. It is small: it completes idioms, what the lines around the cursor suggest and what it can
copy from the code that it is shown. It does not know libraries well, and it does not reason. What
it writes must be tested or read.

## Use

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder)
```

No code of its own, no token added by itself. To fill in the middle, put the suffix first; the
middle goes on from the prefix, with nothing between:

    <|fim_suffix|> SUFFIX <|fim_prefix|> PREFIX MIDDLE <|endoftext|>

Prefix and middle were one text when they were tokenised: a token may hold the end of one and the
beginning of the other, so leave the last word before the cursor, or the last blank, to the model
and constrain it to write that again. Give up to {suffix} tokens of suffix and a prefix that begins
at a line start. Plain text without any special token works too. Code of other files, or of other
places of the same file, may come before the prefix's own text, each part as `<|file_sep|>` path,
newline, text; a share of {context_share:.0%} of the texts had that, chosen for its likeness to
the lines before the cut. `<|fim_middle|>` is in the vocabulary for other tools' sake and was never
trained.

## Model

Llama shape: {layers} layers of {hidden}, {heads} query heads and {kv_heads} key and value heads,
feed-forward {intermediate}, tied embeddings, {vocabulary} byte-level BPE tokens with Qwen2's
pre-tokenizer, bfloat16. Trained on {context} positions.

## Training

`python -m p2assist.pocket.build corpus`, then `tokenizer`, `pack`, `train`, `export`, `evaluate`;
the settings are in `recipe.toml`, the packages in `corpus.txt`.

- {steps} steps, {tokens:.0f} million tokens in {minutes:.1f} minutes on {device}
  ({speed:.0f} tokens a second); loss at the end {loss:.3f} nats a token over the mixture.
- {fim_share:.0%} of the texts with what follows them shown first, the rest left to right, loss on
  all tokens. A text stops at the end of a line, or within one, at random: where the cursor was
  does not show, so a line, a statement, a block and a body are one and the same thing to learn.
- Muon for the matrices ({muon_rate}), AdamW for the rest ({adam_rate}), bfloat16 with float32
  masters, rate constant and then falling to nothing from {decay_from:.0%} of the budget on.

## Corpus

{files} files, {characters:.1f} million characters: the standard library and the permissively
licensed packages below (licence read from their metadata; GPL, LGPL, AGPL, MPL and unknown
licences excluded, vendored folders too). Exact and near duplicates, generated files, tables of
literals and licence headers were dropped, tests kept up to {test_share:.0%} of a package's limit.

Held out by content: {held_out}.
Every function of theirs with at least 15 tokens ({held_out_functions} of them) was compared
with every function of the corpus by its 5-token shingles, identifiers kept, and {functions_cut}
functions were cut out because at least half of them, or of the held-out one, was in the other.
Most of these are short functions that look alike everywhere; copies such as the standard library's
`unique_everseen` and `list2cmdline` are among them. Copies that rename most identifiers, and code
outside functions, are not caught.

| package | version | licence | files | bytes | functions cut |
|---|---|---|---|---|---|
{packages}

## Quality

{quality}

## Limits

English-speaking Python of libraries' kind; no other language. It repeats what is frequent, may
reproduce short passages of its corpus, and invents names. It ends a middle reliably behind a
bracket or a quote only; behind a word it writes the newline: let a newline end a line, and the
indentation a block. Nothing was done about security.

## Licence

The weights are Apache-2.0, as p2assist is. The texts they were trained on are under the
licences listed above.
"""

_QUALITY = """\
On the packages that were held out, {tasks} spans of each kind ({blocks} blocks), drawn with a
fixed seed from code lines of at least {min_characters} characters within functions, no docstrings,
comments or tests. Exact match at 1 and at 8 of one search of 8 beams, as an editor asks and shows
it. "With context": with what p2assist finds elsewhere in the repository in the prompt. A share of
0.20 of {tasks} spans is uncertain by about {error:.2f} (95 %).

    python -m p2assist.pocket.build evaluate

| package | line @1 | @8 | with context @1 | @8 | rest of line, with context @1 | @8 | bits a byte |
|---|---|---|---|---|---|---|---|
{rows}

Blocks of 2 to 5 lines: {block_em1:.3f} and {block_em8:.3f}. With {valid_share:.3f} of the whole
lines' first candidates the file parses; behind {stop_share:.3f} of the lines that stood there the
likeliest token ends the completion. 8 beams x 20 tokens at the next keystroke: {warm_ms:.0f} ms
on one core of the machine that measured it.
"""


def render(recipe: Recipe, folder: Path, weights: Path) -> str:
    """The card for the weights, from manifest.json, train.jsonl and (if made) evaluation.json."""
    manifest = json.loads((folder / "manifest.json").read_text("utf8"))
    last = (folder / "train.jsonl").read_text("utf8").strip().splitlines()[-1]
    run = json.loads(last)
    size = sum(f.stat().st_size for f in weights.iterdir() if f.name != "README.md")
    evaluation = folder / "evaluation.json"
    figures = json.loads(evaluation.read_text("utf8")) if evaluation.exists() else None
    return _CARD.format(
        parameters=(weights / "model.safetensors").stat().st_size / 2e6,
        megabytes=size / 1e6,
        steps=run["step"],
        tokens=run["tokens"] / 1e6,
        minutes=run["minutes"],
        speed=run["tokens"] / run["minutes"] / 60,
        loss=run["loss"],
        suffix=recipe.train.suffix_tokens,
        device=run["device"],
        **_own(recipe.model, "hidden", "layers", "heads", "kv_heads", "intermediate"),
        **_own(recipe.train, "context", "muon_rate", "adam_rate", "decay_from"),
        **_own(recipe.train, "fim_share", "context_share"),
        vocabulary=recipe.tokenizer.vocabulary,
        files=manifest["files"],
        characters=manifest["characters"] / 1e6,
        test_share=recipe.corpus.test_share,
        held_out=", ".join(manifest["held_out"]),
        held_out_functions=manifest["held_out_functions"],
        functions_cut=manifest["functions_cut"],
        packages="\n".join(_package_row(package) for package in manifest["packages"]),
        quality=_quality(recipe, figures) if figures else "Not evaluated yet.",
    )


def _own(section: object, *names: str) -> dict[str, Any]:
    return {name: getattr(section, name) for name in names}


def _package_row(package: Mapping[str, Any]) -> str:
    keys = ("name", "version", "licence", "files", "bytes", "functions_cut")
    return "| " + " | ".join(str(package[key]) for key in keys) + " |"


def _quality(recipe: Recipe, figures: Mapping[str, Any]) -> str:
    kinds = ("line", "line_context", "rest_context")
    keys = [kind.replace("_context", "") + f"_em{k}" + "_context" * ("context" in kind)
            for kind in kinds for k in (1, 8)] + ["bits_per_byte"]  # fmt: skip
    lines = {**figures["by_package"], "all": figures}
    rows = [
        "| " + " | ".join([name, *(f"{values[key]:.3f}" for key in keys)]) + " |"
        for name, values in lines.items()
    ]
    shares = ("block_em1", "block_em8", "valid_share", "stop_share", "warm_ms")
    return _QUALITY.format(
        min_characters=recipe.evaluate.min_characters,
        tasks=figures["tasks"],
        blocks=figures["blocks"],
        error=1.96 * math.sqrt(0.2 * 0.8 / figures["tasks"]),
        rows="\n".join(rows),
        **{name: figures[name] for name in shares},
    )
