"""A folder's tokenizer is taken as it is only where transformers would too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p2assist.generation.tokenizing import read_tokenizer

pytestmark = pytest.mark.model
pytest.importorskip("transformers")

from .qwen import save_qwen  # noqa: E402

END = {"content": "<|endoftext|>", "single_word": False, "lstrip": False, "rstrip": False}
FIRST = END | {"normalized": False, "special": True}


@pytest.fixture
def edit(tiny: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the tiny model with other keys in a JSON file of its."""

    def change(name: str = "tokenizer_config.json", **changes: Any) -> Path:
        folder = shutil.copytree(tiny, tmp_path / "edited")
        file = folder / name
        state = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(state | changes))
        return folder

    return change


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tokenizer_class": "TokenizersBackend", "model_max_length": 512},
        {"additional_special_tokens": ["<|fim_prefix|>", END | {"__type": "AddedToken"}]},
        {"added_tokens_decoder": {"0": FIRST}},
        {"bos_token": None},
    ],
    ids=str,
)
def test_it_is_what_transformers_has_inside(
    edit: Callable[..., Path], changes: dict[str, Any]
) -> None:
    from transformers import AutoTokenizer

    folder = edit(**changes)
    found = read_tokenizer(folder, "llama")
    assert found is not None
    wanted = AutoTokenizer.from_pretrained(folder).backend_tokenizer
    one, other = json.loads(found.to_str()), json.loads(wanted.to_str())
    del one["post_processor"], other["post_processor"]  # it is never asked to put tokens around
    assert one == other


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenizer_class": "LlamaTokenizer"},
        {"tokenizer_class": None},
        {"bos_token": "<s>"},
        {"extra_special_tokens": {"image_token": "<image>"}},
        {"additional_special_tokens": ["<new>"]},
        {"added_tokens_decoder": {"0": FIRST | {"rstrip": True}}},
        {"added_tokens_decoder": {"7": FIRST}},
        {"add_prefix_space": True},
        {"split_special_tokens": True},
        {"auto_map": {"AutoTokenizer": ["own.A", None]}},
        {"name": "special_tokens_map.json", "eos_token": "<|endoftext|>"},
        {"name": "tekken.json"},
        {"name": "tokenizer.json", "truncation": {"max_length": 8}},
    ],
    ids=str,
)
def test_what_transformers_may_change_is_left_to_it(
    edit: Callable[..., Path], changes: dict[str, Any]
) -> None:
    assert read_tokenizer(edit(**changes), "llama") is None


@pytest.fixture
def qwen(tiny: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "qwen"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    return save_qwen(tiny, folder)


def change(folder: Path, name: str, path: str, value: Any) -> None:
    """Another value at the dotted path of a JSON file."""
    state = json.loads((folder / name).read_text())
    *way, last = path.split(".")
    part = state
    for key in way:
        part = part[int(key) if key.isdecimal() else key]
    part[last] = value
    (folder / name).write_text(json.dumps(state))


@pytest.mark.parametrize("told", [False, True])
def test_qwen_has_a_tokenizer_of_its_own_that_is_what_its_file_says(qwen: Path, told: bool) -> None:
    from transformers import AutoTokenizer

    if told:  # as the files on the hub have it
        added = json.loads((qwen / "tokenizer.json").read_text())["added_tokens"]
        change(
            qwen,
            "tokenizer_config.json",
            "added_tokens_decoder",
            {str(token.pop("id")): token for token in added},
        )
        change(qwen, "tokenizer.json", "model.continuing_subword_prefix", None)
        (qwen / "special_tokens_map.json").write_text("{}")
    found, wanted = read_tokenizer(qwen, "qwen2"), AutoTokenizer.from_pretrained(qwen)
    assert found is not None and type(wanted).__name__ == "Qwen2Tokenizer"
    one, other = json.loads(found.to_str()), json.loads(wanted.backend_tokenizer.to_str())
    for state in one, other:
        del state["post_processor"]
        state["model"]["continuing_subword_prefix"] = ""  # to have none is the same
    assert one == other


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("normalizer", None),
        ("pre_tokenizer.pretokenizers.0.pattern", {"Regex": "."}),
        ("pre_tokenizer.pretokenizers.1.add_prefix_space", True),
        ("model.ignore_merges", True),
        ("model.unk_token", "!"),
        ("added_tokens", []),
        ("added_tokens.1.id", 1000),
    ],
)
def test_another_splitting_than_qwens_is_left_to_transformers(
    qwen: Path, path: str, value: Any
) -> None:
    change(qwen, "tokenizer.json", path, value)
    assert read_tokenizer(qwen, "qwen2") is None


def test_a_file_that_qwens_tokenizer_did_not_write_is_left_to_transformers(tiny: Path) -> None:
    assert read_tokenizer(tiny, "mistral") is not None
    assert read_tokenizer(tiny, "qwen2") is None


def test_a_damaged_tokenizer_is_a_value_error(edit: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="did not match"):
        read_tokenizer(edit("tokenizer.json", model=3), "llama")
