"""A network and its tokenizer from the disk or the hub by transformers, and an adapter merged into
it by peft: for what files.py and lora.py leave to them. Importing this takes a second.

Only safetensors are loaded, and no code that comes with a model is ever run.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from p2assist.errors import AdapterError, ModelError
from p2assist.generation import adapter as adapters
from p2assist.generation.architecture import Architecture
from p2assist.generation.hardware import Dtype, device_here, dtype_here
from p2assist.generation.location import locate
from p2assist.generation.pretrained import Pretrained, end_tokens
from p2assist.generation.rotary import complex_turns
from p2assist.generation.weights import Weights, lean_weights

# What transformers raises on files that are missing, damaged or of an unknown kind.
_UNUSABLE = (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError)


def load(model: str, *, dtype: Dtype = "auto") -> Pretrained:
    """The model, as weights of the lean forward where that can stand for it. Raises ModelError."""
    network, tokenizer = load_network(model, dtype=dtype)
    weights = weights_of(network)
    # Some have it under another name.
    positions = getattr(network.config, "max_position_embeddings", 0)
    config = network.config.to_dict() | {"max_position_embeddings": positions}
    generation = network.generation_config
    return Pretrained(
        tokenizer=tokenizer,
        config=config,
        ends=end_tokens(config, generation.to_dict() if generation else {}),
        size=int(network.get_output_embeddings().weight.shape[0]),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        shapes=shapes_of(network),
        weights=weights,
        network=network if weights is None else None,
    )


def weights_of(network: Any) -> Weights | None:
    """Copies of a network's weights; None where the lean forward cannot stand for it."""
    architecture = Architecture.from_config(network.config.to_dict())
    if architecture is None or not type(network).__name__.endswith("ForCausalLM"):
        return None
    return lean_weights(architecture, network.state_dict(), _turns(network))


def _turns(network: Any) -> torch.Tensor:
    """By the network's own module, so that every fixed scaling of positions comes along."""
    device = network.device
    with torch.no_grad():
        numbers = torch.arange(network.config.max_position_embeddings, device=device)[None]
        like = torch.empty(0, dtype=torch.float32, device=device)
        cos, sin = network.model.rotary_emb(like, numbers)
    half = cos.shape[-1] // 2
    return complex_turns(cos[0, :, :half], sin[0, :, :half])


def skeleton(model: str, dtype: torch.dtype) -> Any:
    """The network without its weights (on the device 'meta'). Raises ModelError."""
    with quiet():
        config = _pretrained(AutoConfig, model, locate(model))
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, dtype=dtype).eval()


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
            AutoModelForCausalLM, model, place, dtype=dtype_here(dtype), use_safetensors=True
        )
    return network.to(device_here()).eval(), backend


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
