"""The weights as one GGUF file, for llama.cpp: the form that its server and its users load.

Sources: the GGUF specification (ggml's docs/gguf.md) for the keys, and llama.cpp's
convert_hf_to_gguf.py for the order of the rows of the query and key projections.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from p2assist.errors import ModelError

Precision = Literal["f32", "f16", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("f32", "f16", "bf16")
_PRE_TOKENIZER = "qwen2"  # the name of tokenizer.py's expression in llama.cpp
_TYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "bf16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
}


def write(weights: Path, file: Path, *, precision: Precision = "f32") -> Path:
    """Write the model in the folder `weights` (config.json, model.safetensors, tokenizer.json).

    precision: of the matrices. f32 and bf16 hold the bfloat16 weights exactly; with f32
    llama.cpp multiplies as p2assist does. The file appears whole or not at all. Raises
    ModelError where the folder holds no model of the embedded one's kind.
    """
    config, tokenizer = _json(weights / "config.json"), _json(weights / "tokenizer.json")
    _check(config, tokenizer, weights)
    part = file.with_name(f"{file.name}.part")
    writer = gguf.GGUFWriter(part, "llama")
    try:
        _describe(writer, config, _TYPES[precision][1])
        _vocabulary(writer, config, tokenizer)
        for name, tensor in _tensors(weights / "model.safetensors", config):
            wanted = _TYPES[precision][0] if tensor.ndim > 1 else _TYPES["f32"][0]
            writer.add_tensor(name, gguf.quantize(tensor, wanted), raw_dtype=wanted)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return file


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read ({error}): give the folder of a model") from error
    if not isinstance(found, dict):
        raise ModelError(f"{file} is damaged: it holds no JSON object")
    return found


def _check(config: dict[str, Any], tokenizer: dict[str, Any], folder: Path) -> None:
    """What this exporter does not know it refuses, rather than write a file that answers wrong."""
    kind = config.get("model_type")
    rope = config.get("rope_parameters", {}).get("rope_type", "default")
    bias = config.get("attention_bias") or config.get("mlp_bias")
    if kind != "llama" or rope != "default" or bias or not config.get("tie_word_embeddings"):
        raise ModelError(
            f"the model in {folder} is not of the embedded one's kind (a Llama with tied "
            "embeddings, plain rotary positions and no bias): use llama.cpp's own converter"
        )
    if tokenizer.get("model", {}).get("type") != "BPE" or tokenizer.get("normalizer"):
        raise ModelError(f"the tokenizer in {folder} is not the embedded model's byte-level BPE")


def _describe(writer: gguf.GGUFWriter, config: dict[str, Any], kind: gguf.LlamaFileType) -> None:
    heads = config["num_attention_heads"]
    writer.add_name("p2assist pocket")
    writer.add_file_type(kind)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_vocab_size(config["vocab_size"])


def _vocabulary(writer: gguf.GGUFWriter, config: dict[str, Any], tokenizer: dict[str, Any]) -> None:
    added = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    names = {number: token for token, number in tokenizer["model"]["vocab"].items()} | added
    rows = range(config["vocab_size"])
    writer.add_tokenizer_model("gpt2")  # byte-level BPE
    writer.add_tokenizer_pre(_PRE_TOKENIZER)
    writer.add_token_list([names.get(row, f"[UNUSED{row}]") for row in rows])
    writer.add_token_types([_token_type(row, names, added) for row in rows])
    merges = tokenizer["model"]["merges"]
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)


def _token_type(row: int, names: dict[int, str], added: dict[int, str]) -> gguf.TokenType:
    if row in added:
        return gguf.TokenType.CONTROL
    return gguf.TokenType.NORMAL if row in names else gguf.TokenType.UNUSED


def _tensors(file: Path, config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(llama.cpp's name, float32 array) of every tensor."""
    try:
        tensors = load_file(str(file))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} cannot be read ({error}): give the folder of a model") from error
    known = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    heads = {
        "q_proj.weight": config["num_attention_heads"],
        "k_proj.weight": config["num_key_value_heads"],
    }
    for name, tensor in tensors.items():
        theirs = known.get_name(name, try_suffixes=(".weight",))
        if theirs is None:
            raise ModelError(f"{file} holds {name!r}, which a Llama of llama.cpp does not")
        array = tensor.to(torch.float32).numpy()
        rotated = next((heads[end] for end in heads if name.endswith(end)), 0)
        yield theirs, _pairs(array, rotated) if rotated else numpy.ascontiguousarray(array)


def _pairs(matrix: Any, heads: int) -> Any:
    """The rows in llama.cpp's order: it rotates neighbours, transformers the two halves."""
    rows, columns = matrix.shape
    halves = matrix.reshape(heads, 2, rows // heads // 2, columns)
    return numpy.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))
