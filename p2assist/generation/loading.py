"""A network and its tokenizer from the disk or the hub, and an adapter merged into it.

Only safetensors are loaded, and no code that comes with a model is ever run.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from p2assist.errors import AdapterError, ModelError
from p2assist.generation import adapter as adapters
from p2assist.generation.location import locate

Dtype = Literal["auto", "float32", "bfloat16"]
# What transformers raises on files that are missing, damaged or of an unknown kind.
_UNUSABLE = (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError)


def load_network(model: str, *, dtype: Dtype = "auto") -> tuple[Any, Any]:
    """(the network, on its device and in its type; its `tokenizers.Tokenizer`).

    dtype 'auto': bfloat16 where the processor multiplies it natively, float32 elsewhere. Raises
    ModelError where the model cannot be loaded.
    """
    place = locate(model)
    with quiet():
        tokenizer = _pretrained(AutoTokenizer, model, place)
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ModelError(f"the model {model!r} has no tokenizer.json: choose another model")
        network = _pretrained(
            AutoModelForCausalLM, model, place, dtype=_dtype(dtype), use_safetensors=True
        )
    return network.to(_device()).eval(), backend


def shapes_of(network: Any) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of the network, by the name of its module."""
    return {
        name: tuple(module.weight.shape)
        for name, module in network.named_modules()
        if getattr(module, "weight", None) is not None
    }


def adapted(
    network: Any,
    folder: Path,
    *,
    model: str,
    weight: Callable[[str], torch.Tensor] | None = None,
) -> tuple[Any, frozenset[str]]:
    """(the network with the adapter added to its weights, the names of the modules it touches).

    The given network stays what it is, and shares all weights that the adapter leaves alone.
    Sums are taken in float32 and rounded to the network's type. weight: gives that of a module
    where the network's own are not there any more. Raises AdapterError.
    """
    from peft import PeftModel

    touched = adapters.check(folder, model=model, path=locate(model), shapes=shapes_of(network))
    own = _sharing(network)
    types = {name: own.get_submodule(name).weight.dtype for name in touched}
    for name in touched:
        module = own.get_submodule(name)
        base = module.weight if weight is None else weight(name)
        module.weight = nn.Parameter(base.detach().to(torch.float32, copy=True), False)
    try:
        with quiet(), warnings.catch_warnings():
            # peft 0.21 reads a name that transformers 5.23 is about to drop.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            made = PeftModel.from_pretrained(own, str(folder), local_files_only=True)
            merged = made.merge_and_unload(safe_merge=True)
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        first = str(error).strip().split("\n")[0][:300]
        raise AdapterError(f"the adapter in {folder} cannot be loaded: {first}") from error
    for name, dtype in types.items():
        module = merged.get_submodule(name)
        module.weight = nn.Parameter(module.weight.detach().to(dtype), False)
    return merged.eval(), touched


def _sharing(network: Any) -> Any:
    """A network of its own modules and parameters, over the same storage."""
    memo = {
        id(tensor): nn.Parameter(tensor.detach(), False)
        if isinstance(tensor, nn.Parameter)
        else tensor
        for tensor in (*network.parameters(), *network.buffers())
    }
    return copy.deepcopy(network, memo)


def _pretrained(kind: Any, model: str, place: str, **options: Any) -> Any:
    """Loads from the disk where it is there, else (only what is no folder) from the hub."""
    options["trust_remote_code"] = False
    try:
        return kind.from_pretrained(place, local_files_only=True, **options)
    except _UNUSABLE as error:
        if Path(place).is_dir():
            raise _unusable(model, error) from error
    try:
        return kind.from_pretrained(place, **options)
    except _UNUSABLE as error:
        raise _unusable(model, error) from error


def _unusable(model: str, error: Exception) -> ModelError:
    first = str(error).strip().split("\n")[0][:300]
    return ModelError(
        f"the model {model!r} cannot be loaded: {first}. Check the name; a model of the hub must "
        f"be fetched once (hf download {model}), in safetensors, and needs no code of its own"
    )


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _dtype(wanted: Dtype) -> torch.dtype:
    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return torch.bfloat16 if native and native() else torch.float32


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no advice of transformers on the user's terminal."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
