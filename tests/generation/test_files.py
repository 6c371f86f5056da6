"""What is read from a folder, against what transformers loads from it, to the last bit."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.model,
    # peft 0.21 reads a name that transformers 5.23 is about to drop.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from p2assist.generation import files, loading  # noqa: E402
from p2assist.generation.base import BaseModel  # noqa: E402
from p2assist.generation.linear import Linear  # noqa: E402
from p2assist.generation.location import locate  # noqa: E402
from p2assist.generation.pretrained import Pretrained  # noqa: E402

from .families import FAMILIES, make  # noqa: E402
from .qwen import save_qwen  # noqa: E402

SCALED = "Llama with biases, tied, scaled positions"
DTYPES = ["float32", "bfloat16"]


def same(one: Any, other: Any) -> None:
    """Two of the lean forward's values are the same to the last bit."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and one.shape == other.shape
        assert torch.equal(one, other)
    elif isinstance(one, Linear):
        same(one.weight, other.weight)
        same(one.bias, other.bias)
        assert one.packed == other.packed
    elif isinstance(one, tuple):
        for part, counterpart in zip(one, other, strict=True):
            same(part, counterpart)
    elif dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            same(getattr(one, field.name), getattr(other, field.name))
    else:
        assert one == other


def alike(direct: Pretrained | None, loaded: Pretrained) -> None:
    assert direct is not None and direct.weights is not None
    same(direct.weights, loaded.weights)
    assert direct.ends == loaded.ends
    assert (direct.size, direct.parameters) == (loaded.size, loaded.parameters)
    assert direct.shapes == loaded.shapes
    inside, outside = (json.loads(one.tokenizer.to_str()) for one in (direct, loaded))
    for state in (inside, outside):
        del state["post_processor"]  # what it puts around a text is never asked for
    assert inside == outside
    for key in ("p2assist_template", "p2assist_context", "max_position_embeddings"):
        assert direct.config.get(key) == loaded.config.get(key)


@pytest.fixture
def saved(tmp_path: Path, tiny: Path) -> Callable[..., Path]:
    """Writes a network of the family, with the tiny model's tokenizer, to a folder."""

    def save(family: str, shard: str = "5GB", **settings: Any) -> Path:
        folder = tmp_path / "saved"
        make(family, **settings).save_pretrained(folder, max_shard_size=shard)
        if family.startswith("Qwen2"):
            save_qwen(tiny, folder)
            return folder
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(tiny / name, folder)
        return folder

    return save


@pytest.fixture
def edit(tiny: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the tiny model with its config changed; 'absent' takes a key out."""

    def change(**changes: Any) -> Path:
        folder = shutil.copytree(tiny, tmp_path / "edited")
        file = folder / "config.json"
        state = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({k: v for k, v in state.items() if v != "absent"}))
        return folder

    return change


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_embedded_model_is_the_one_that_transformers_loads(dtype: Any) -> None:
    direct = files.read(Path(locate("pocket")), getattr(torch, dtype))
    alike(direct, loading.load("pocket", dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", [f for f in FAMILIES if f != SCALED])
def test_every_family_is_the_one_that_transformers_loads(
    saved: Callable[..., Path], family: str, dtype: Any
) -> None:
    folder = saved(family)
    alike(files.read(folder, getattr(torch, dtype)), loading.load(str(folder), dtype=dtype))


@pytest.mark.parametrize(
    "settings",
    [
        {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
        {"num_key_value_heads": 1, "head_dim": 32, "eos_token_id": [3, 2]},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1000000}},
        {"shard": "100KB"},
    ],
    ids=lambda settings: ", ".join(settings),
)
def test_what_a_config_may_say_otherwise(
    saved: Callable[..., Path], settings: dict[str, Any]
) -> None:
    folder = saved("Llama", **settings)
    assert (folder / "model.safetensors").exists() != ("shard" in settings)
    alike(files.read(folder, torch.float32), loading.load(str(folder), dtype="float32"))


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_parameters": "absent", "rope_theta": 5e5, "rope_scaling": None, "use_mrope": False},
        {"rope_parameters": {"rope_theta": 5000}},
        {"head_dim": "absent", "attention_bias": "absent", "torch_dtype": "bfloat16"},
        {"p2assist_context": 64, "eos_token_id": None},
    ],
    ids=lambda changes: ", ".join(changes),
)
def test_older_spellings_of_a_config(edit: Callable[..., Path], changes: dict[str, Any]) -> None:
    folder = edit(**changes)
    alike(files.read(folder, torch.float32), loading.load(str(folder), dtype="float32"))


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}},
        {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}},
        {"rope_parameters": "absent"},
        {"quantization_config": {"quant_method": "fp8"}},
        {"something_new": True},
        {"use_mrope": True},
        {"hidden_act": "gelu_new"},
        {"model_type": "gemma"},
        {"tie_word_embeddings": "absent"},
        {"tie_word_embeddings": True},
        {"attention_bias": True},
        {"num_hidden_layers": 1},
        {"num_hidden_layers": 3},
        {"vocab_size": 10},
        {"hidden_size": "32"},
        {"num_key_value_heads": "absent"},
        {"eos_token_id": "absent"},
        {"layer_types": ["full_attention", "full_attention"]},
    ],
    ids=lambda changes: ", ".join(f"{key} {value}" for key, value in changes.items()),
)
def test_what_it_does_not_know_for_sure_is_left_to_transformers(
    edit: Callable[..., Path], changes: dict[str, Any]
) -> None:
    assert files.read(edit(**changes), torch.float32) is None


def test_a_hub_model_is_read_from_the_local_cache(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    cache = tmp_path / "models--some--tiny"
    shutil.copytree(tiny, cache / "snapshots" / "abc")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delattr(loading, "load")
    assert BaseModel.load("some/tiny").loaded.weights is not None
    with pytest.raises(AttributeError):
        BaseModel.load("some/other")


def test_scaled_positions_are_left_to_transformers(saved: Callable[..., Path]) -> None:
    folder = saved(SCALED)
    assert files.read(folder, torch.float32) is None
    assert loading.load(str(folder)).weights is not None


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_or_missing_file_is_left_to_transformers(
    edit: Callable[..., Path], name: str
) -> None:
    folder = edit()
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    assert files.read(folder, torch.float32) is None
    (folder / name).unlink()
    assert files.read(folder, torch.float32) is None


def test_an_index_names_no_file_elsewhere(saved: Callable[..., Path]) -> None:
    folder = saved("Llama", shard="100KB")
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace('"model-0', '"../saved/model-0'))
    assert files.read(folder, torch.float32) is None


def test_no_weight_keeps_its_file_alive(tiny: Path, tmp_path: Path) -> None:
    """A view of the file would change with it; on Linux the mapped pages say so."""
    folder = shutil.copytree(tiny, tmp_path / "mapped")
    made = files.read(folder, torch.float32)
    assert made is not None
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(folder / "model.safetensors") not in maps.read_text()


def test_neither_transformers_nor_peft_is_imported(
    tiny: Path, tmp_path: Path, make_adapter: Callable[..., Path]
) -> None:
    adapter = make_adapter(tiny, tmp_path / "adapter")
    code = f"""
import sys
from pathlib import Path
from p2assist.experience import SpanKind, Task
from p2assist.generation.local import LocalGenerator
task = Task("a.py", "x = ", 4, 4, SpanKind.LINE)
for model, adapter in ("pocket", None), ({str(tiny)!r}, Path({str(adapter)!r})):
    assert LocalGenerator.load(model, adapter=adapter).generate(task, beams=2)
assert LocalGenerator.load({str(tiny)!r}).with_adapter(adapter, "a").generate(task, beams=2)
print(*{{"transformers", "peft", "sympy", "torch._dynamo"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("\n", "")
