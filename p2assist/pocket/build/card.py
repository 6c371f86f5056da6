"""The model card, written from what the stages recorded."""

from __future__ import annotations

import json
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
tests. It is very small and saw {tokens:.0f} million tokens: it completes idioms and what the lines
around the cursor suggest. It does not know libraries, and it does not reason; when it runs on past
a line it soon repeats itself. What it writes must be tested or read.

## Use

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder)
```

No code of its own, no token added by itself. To fill in the middle, tokenise suffix and prefix
apart and put the suffix first; nothing stands between prefix and middle:

    <|fim_suffix|> SUFFIX <|fim_prefix|> PREFIX MIDDLE <|endoftext|>

The middle of a line leaves its newline to the suffix. Give up to {suffix} tokens of suffix and a
prefix that begins at a line start. Plain text without any special token works too. Lines of
another file may come before the prefix's own text, each part as `<|file_sep|>` path, newline,
text; a share of {context_share:.0%} of the sequences had that. `<|fim_middle|>` is in the
vocabulary for other tools' sake and was never trained.

## Model

Llama shape: {layers} layers of {hidden}, {heads} heads, feed-forward {intermediate}, tied
embeddings, {vocabulary} byte-level BPE tokens with Qwen2's pre-tokenizer. The configuration
allows {positions} positions; it was trained on {context}, so keep prompts below that.

## Training

`python -m p2assist.pocket.build corpus`, then `tokenizer`, `train`, `export`, `evaluate`; the
settings are in `recipe.toml`.

- {steps} steps, {tokens:.1f} million tokens in {minutes:.0f} minutes on {threads} CPU cores
  ({speed:.0f} tokens a second); smoothed loss at the end {loss:.3f} nats a token over the mixture.
- {fim_share:.0%} of the sequences suffix-prefix-middle, the rest left to right, loss on all
  tokens; middles as an editor asks for them (the line after its indentation, after `.`, `(`,
  `= ` or `return `, inside a line, a statement, a block, a function's body).
- Muon for the matrices ({muon_rate}), AdamW for the rest ({adam_rate}), bfloat16 with float32
  masters, rate constant and then falling to nothing from {decay_from:.0%} of the time on.

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
reproduce short passages of its corpus, and invents names. Nothing was done about security.

## Licence

The weights are Apache-2.0, as p2assist is. The texts they were trained on are under the
licences listed above.
"""

_QUALITY = """\
On the packages that were held out: whole lines of at least {min_characters} characters inside
functions (no docstrings, comments or tests), {tasks} tasks with a fixed seed, no text of other
files in the prompt, {prefix} tokens of prefix and {suffix} of suffix. Exact match of the stripped
line: greedy (@1), and among the {beams} completions of a beam search (@{beams}). Bits per byte:
on up to {bits} characters of each package, left to right. With {tasks} tasks a share of 0.10 is
uncertain by about 0.04 (95 %).

SPM is suffix-prefix-middle with the prefix up to the cursor. Healed is the same with the
indentation's last blank left for the model to write, as it is in the left to right (L2R) prompts:
running text has that blank in the next word's token, and the cut cost the model a third of its
matches here. Prompts should be healed.

    python -m p2assist.pocket.build evaluate

| package | SPM @1 | @{beams} | healed @1 | @{beams} | L2R @1 | @{beams} | bits per byte |
|---|---|---|---|---|---|---|---|
{rows}
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
        **_own(recipe.model, "hidden", "layers", "heads", "intermediate", "positions"),
        **_own(recipe.train, "context", "threads", "muon_rate", "adam_rate", "decay_from"),
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
    orders = ("spm", "spm_healed", "l2r")
    keys = [f"{order}_{key}" for order in orders for key in ("em1", "em8")] + ["bits_per_byte"]
    lines = {**figures["by_package"], "all": figures}
    rows = [
        "| " + " | ".join([name, *(f"{values[key]:.3f}" for key in keys)]) + " |"
        for name, values in lines.items()
    ]
    names = list(figures["by_package"])
    return _QUALITY.format(
        min_characters=recipe.evaluate.min_characters,
        tasks=figures["tasks"],
        prefix=recipe.evaluate.prefix_tokens,
        suffix=recipe.evaluate.suffix_tokens,
        beams=figures["beams"],
        bits=recipe.evaluate.bits_characters // len(names),
        rows="\n".join(rows),
    )
