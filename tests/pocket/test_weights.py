"""The shipped weights load as any transformers model does, and complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from p2assist.pocket import weights_path

MOST_BYTES = 40_000_000
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
@pytest.mark.parametrize(
    ("prefix", "suffix", "written"),
    [
        (
            "class Box:\n    def __init__(self, width, height):\n"
            "        self.width = width\n       ",
            "\n\n    def area(self):\n        return self.width * self.height\n",
            " self.height = height",
        ),
        (
            "import json\n\n\ndef load(path):\n    with open(path) as f:\n        return",
            "\n\n\ndef save(path, data):\n    with open(path, 'w') as f:\n"
            "        json.dump(data, f)\n",
            " json.load(f)",
        ),
    ],
)
def test_it_fills_in_a_line(
    loaded: tuple[Any, Any], prefix: str, suffix: str, written: str
) -> None:
    import torch

    model, tokenizer = loaded
    # The last blank before the cursor is the model's to write.
    ids = [3, *tokenizer(suffix).input_ids, 1, *tokenizer(prefix).input_ids]

    with torch.inference_mode():
        out = model.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=30,
        )
    new = tokenizer.decode(out[0, len(ids) :], skip_special_tokens=True)

    assert new.split("\n")[0] == written


@pytest.mark.model
def test_it_ends_where_the_suffix_goes_on(loaded: tuple[Any, Any]) -> None:
    import torch

    model, tokenizer = loaded
    before = "import os\n\n\ndef f(path):\n    return os.path.join(path, 'a')"
    after = "\n\n\ndef g(path):\n    return 1\n"
    with_end = [3, *tokenizer(after).input_ids, 1, *tokenizer(before).input_ids]
    without = tokenizer(before).input_ids

    with torch.inference_mode():
        ends = [
            model(torch.tensor([ids])).logits[0, -1].softmax(-1)[tokenizer.eos_token_id].item()
            for ids in (with_end, without)
        ]

    assert ends[0] > 0.3 > 0.05 > ends[1]
