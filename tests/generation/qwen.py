"""A tokenizer in the files of Qwen2's, as transformers writes them."""

from __future__ import annotations

import json
from pathlib import Path


def save_qwen(tiny: Path, folder: Path) -> Path:
    """With the vocabulary and the merges of the tiny model's."""
    from transformers import Qwen2Tokenizer

    state = json.loads((tiny / "tokenizer.json").read_text())
    model = state["model"]
    special = [token["content"] for token in state["added_tokens"]]
    made = Qwen2Tokenizer(
        vocab=model["vocab"],
        merges=[tuple(merge) for merge in model["merges"]],
        extra_special_tokens=special[1:],
    )
    made.save_pretrained(folder)
    return folder
