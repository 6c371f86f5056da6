"""The shipped weights load as any transformers model does, and complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from p2assist.pocket import weights_path

MOST_BYTES = 16_000_000
FILES = {
    "README.md",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = weights_path()
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    return model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True)


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, p2assist.pocket; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_folder_is_complete_and_small() -> None:
    files = list(weights_path().iterdir())
    assert {file.name for file in files} == FILES
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES


def test_the_card_names_no_place_of_the_machine_that_made_it() -> None:
    card = (weights_path() / "README.md").read_text("utf8")
    assert str(Path.home()) not in card
    assert "Held out by content: toolz" in card


@pytest.mark.model
def test_the_tokenizer_adds_nothing(loaded: tuple[Any, Any]) -> None:
    _, tokenizer = loaded
    text = "def f(x):\n        return  x\n"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert tokenizer.bos_token is None
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == 0
    names = ["<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|file_sep|>"]
    assert tokenizer.convert_tokens_to_ids(names) == [1, 2, 3, 4]


@pytest.mark.model
def test_it_fills_in_a_line_and_stops(loaded: tuple[Any, Any]) -> None:
    import torch

    model, tokenizer = loaded
    prefix = "class Box:\n    def __init__(self, width, height):\n        self.width = width\n"
    suffix = "\n\n    def area(self):\n        return self.width * self.height\n"
    ids = [3, *tokenizer(suffix).input_ids, 1, *tokenizer(prefix + " " * 8).input_ids]

    with torch.inference_mode():
        out = model.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=30,
        )
    new = out[0, len(ids) :].tolist()

    assert new[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(new, skip_special_tokens=True) == "self.height = height"
