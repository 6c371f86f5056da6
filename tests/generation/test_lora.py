"""An adapter added to weights here, against the same by peft, to the last bit."""

from __future__ import annotations

import json
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
pytest.importorskip("peft")

from safetensors.torch import load_file, save_file  # noqa: E402

from p2assist.errors import AdapterError  # noqa: E402
from p2assist.generation import lora  # noqa: E402
from p2assist.generation.base import BaseModel  # noqa: E402
from p2assist.generation.loading import adapted, skeleton  # noqa: E402

Make = Callable[..., Path]


def by_peft(base: BaseModel, folder: Path) -> dict[str, Any]:
    weights = base.loaded.weights
    assert weights is not None
    bare = skeleton(base.model, weights.kept)
    network, touched = adapted(bare, folder, model=base.model, weight=weights.weight)
    return {name: network.get_submodule(name).weight.detach() for name in touched}


def edit(folder: Path, **changes: Any) -> Path:
    """Other keys in the adapter's config."""
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


def rewrite(folder: Path, change: Callable[[str, Any], Any]) -> Path:
    """Other weights in the adapter, dropped where None."""
    file = folder / "adapter_model.safetensors"
    changed = {key: change(key, value) for key, value in load_file(file).items()}
    save_file({key: value for key, value in changed.items() if value is not None}, file)
    return folder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"lora_alpha": 7}, {"use_rslora": True, "lora_alpha": 3}, {"task_type": "CAUSAL_LM"}],
    ids=str,
)
def test_the_sums_are_those_of_peft(
    tiny: Path, tmp_path: Path, make_adapter: Make, changes: dict[str, Any], dtype: Any
) -> None:
    base = BaseModel.load(str(tiny), dtype=dtype)
    assert base.loaded.weights is not None
    folder = edit(make_adapter(tiny, tmp_path / "adapter"), **changes)
    made, wanted = lora.merged(folder, base.loaded.weights.weight), by_peft(base, folder)
    assert made is not None and made.keys() == wanted.keys() and len(made) == 14
    for name, weight in made.items():
        assert weight.dtype == wanted[name].dtype
        assert torch.equal(weight, wanted[name])
        assert not torch.equal(weight, base.loaded.weights.weight(name))


def test_an_adapter_of_the_embedded_model_in_bfloat16(tmp_path: Path, make_adapter: Make) -> None:
    from p2assist.generation.location import locate

    base = BaseModel.load("pocket", dtype="bfloat16")
    assert base.loaded.weights is not None
    targets = ["q_proj", "down_proj"]
    folder = make_adapter(
        Path(locate("pocket")), tmp_path / "adapter", name="pocket", targets=targets
    )
    rewrite(folder, lambda _, value: value.bfloat16())
    made, wanted = lora.merged(folder, base.loaded.weights.weight), by_peft(base, folder)
    assert made is not None and made.keys() == wanted.keys() and len(made) == 12
    assert all(torch.equal(weight, wanted[name]) for name, weight in made.items())


@pytest.mark.parametrize(
    "changes",
    [
        {"use_dora": True},
        {"bias": "all"},
        {"fan_in_fan_out": True},
        {"lora_bias": True},
        {"modules_to_save": ["lm_head"]},
        {"rank_pattern": {"q_proj": 2}},
        {"alpha_pattern": {"q_proj": 2}},
        {"layers_to_transform": [0]},
        {"trainable_token_indices": [1]},
        {"init_lora_weights": "pissa"},
        {"task_type": "SEQ_CLS"},
        {"target_modules": "all-linear"},
        {"target_modules": ["q_proj"]},
        {"r": 8},
        {"r": 0},
        {"something_new": {"a": 1}},
    ],
    ids=str,
)
def test_what_is_more_than_plain_is_left_to_peft(
    tiny: Path, tmp_path: Path, make_adapter: Make, changes: dict[str, Any]
) -> None:
    base = BaseModel.load(str(tiny), dtype="float32")
    assert base.loaded.weights is not None
    folder = edit(make_adapter(tiny, tmp_path / "adapter"), **changes)
    assert lora.merged(folder, base.loaded.weights.weight) is None


def test_half_of_a_pair_is_left_to_peft(tiny: Path, tmp_path: Path, make_adapter: Make) -> None:
    base = BaseModel.load(str(tiny), dtype="float32")
    assert base.loaded.weights is not None
    folder = rewrite(
        make_adapter(tiny, tmp_path / "adapter"),
        lambda key, value: None if key.endswith("0.mlp.up_proj.lora_A.weight") else value,
    )
    assert lora.merged(folder, base.loaded.weights.weight) is None


def test_another_scale_for_some_modules_is_served_as_peft_reads_it(
    tiny: Path, tmp_path: Path, make_adapter: Make
) -> None:
    base = BaseModel.load(str(tiny), dtype="float32")
    folder = edit(make_adapter(tiny, tmp_path / "adapter"), alpha_pattern={"q_proj": 2})
    wanted = by_peft(base, folder)
    weights = base.forward(folder).weights  # type: ignore[attr-defined]
    assert all(torch.equal(weights.weight(name), weight) for name, weight in wanted.items())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(
    tiny: Path, tmp_path: Path, make_adapter: Make, value: float
) -> None:
    base = BaseModel.load(str(tiny), dtype="float32")
    folder = rewrite(
        make_adapter(tiny, tmp_path / "adapter"),
        lambda _, old: old.index_fill_(0, torch.tensor([0]), value),
    )
    with pytest.raises(AdapterError, match="cannot be loaded: NaNs detected in the merged"):
        base.forward(folder)
    with pytest.raises(AdapterError, match="cannot be loaded: NaNs detected in the merged"):
        by_peft(base, folder)
