"""Whether an adapter's files are sound and fit the base model, before any of them is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from p2assist.errors import AdapterError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
OUTER = "base_model.model."
_AGAIN = "train it anew with `p2assist refresh`, or go back with `p2assist adapters rollback`"


def check(
    folder: Path, *, model: str, path: str, shapes: Mapping[str, tuple[int, ...]]
) -> frozenset[str]:
    """The names of the modules whose weights the adapter in folder changes.

    Raises AdapterError where it is missing, damaged or of another base model.

    model: the base model's name as it was asked for. path: where it was loaded from. shapes: the
    shape of each weight matrix of the base model, by the name of its module.
    """
    config = _config(folder)
    base = str(config.get("base_model_name_or_path") or "")
    if base and not (_same(base, model) or _same(base, path)):
        raise AdapterError(
            f"the adapter in {folder} was made for the base model {base!r}, and the model is "
            f"{model!r}: load {base!r}, or {_AGAIN}"
        )
    touched = set()
    for name, shape in _shapes(folder).items():
        module, part = part_of(name)
        if part == "magnitude_vector.weight":
            continue
        if part not in ("A.weight", "B.weight"):
            raise AdapterError(
                f"the adapter in {folder} changes {name}: only LoRA on weight matrices can be "
                f"served; {_AGAIN}"
            )
        wanted = shapes.get(module)
        # The rank is the adapter's own; some models keep their matrices the other way round.
        width = shape[1] if part == "A.weight" else shape[0]
        if wanted is None or width not in wanted:
            has = "has none" if wanted is None else f"has one of shape {wanted}"
            raise AdapterError(
                f"the adapter in {folder} changes a matrix {module} ({width} wide), and the model "
                f"{model!r} {has}: it was made for another base model; {_AGAIN}"
            )
        touched.add(module)
    return frozenset(touched)


def part_of(name: str) -> tuple[str, str]:
    """(the module that a tensor of an adapter's file belongs to, which part of LoRA it is)."""
    module, _, part = name.removeprefix(OUTER).partition(".lora_")
    return module, part


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
    except OSError as error:
        raise AdapterError(
            f"there is no adapter in {folder} ({error.strerror}): {_AGAIN}"
        ) from error
    except ValueError as error:
        raise AdapterError(f"{folder / CONFIG} is damaged ({error}): {_AGAIN}") from error
    # megatron_config names a module that peft would import: no file may choose what is run.
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise AdapterError(f"{folder / CONFIG} does not describe a LoRA adapter: {_AGAIN}")
    if config.get("megatron_config"):
        raise AdapterError(f"{folder / CONFIG} asks for Megatron, which is not supported: {_AGAIN}")
    return config


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    file = folder / WEIGHTS
    if not file.is_file():
        raise AdapterError(f"there is no {file} (other formats are not loaded): {_AGAIN}")
    try:
        with safe_open(str(file), framework="numpy") as tensors:
            return {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise AdapterError(f"{file} is damaged ({error}): {_AGAIN}") from error


def _same(one: str, other: str) -> bool:
    """Whether two names or folders are of one model: folders move, their last part stays."""

    def last(name: str) -> str:
        return name.replace("\\", "/").rstrip("/").rpartition("/")[2].casefold()

    return bool(last(one)) and last(one) == last(other)
