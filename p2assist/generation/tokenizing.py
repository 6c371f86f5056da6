"""A model's tokenizer from its folder, where transformers would change nothing in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

_GENERIC = frozenset({"PreTrainedTokenizerFast", "TokenizersBackend"})
_MOST_TOKENS = 100_000  # with more, transformers looks for a Mistral whose splitting it mends
_OFF = frozenset({"add_prefix_space", "split_special_tokens"})
_NEUTRAL = frozenset(
    {
        "additional_special_tokens",
        "added_tokens_decoder",
        "backend",
        "chat_template",
        "clean_up_tokenization_spaces",
        "errors",
        "extra_special_tokens",
        "is_local",
        "local_files_only",
        "model_input_names",
        "model_max_length",
        "name_or_path",
        "padding_side",
        "tokenizer_class",
        "truncation_side",
    }
)
_FLAGS = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")


_QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN_MODEL = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")
_QWEN_FLAGS = ("fuse_unk", "byte_fallback", "ignore_merges")


def read_tokenizer(folder: Path, family: str) -> Tokenizer | None:
    """What transformers' AutoTokenizer has inside, but for what it puts around a text; None where
    that may be something else than the folder's tokenizer.json.

    Raises OSError, ValueError, KeyError or TypeError where a file is missing or damaged.
    """
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    text = (folder / "tokenizer.json").read_text("utf-8")
    state = json.loads(text)
    if not _taken_as_it_is(state, config, family) or (folder / "tekken.json").exists():
        return None
    if "added_tokens_decoder" not in config and any(
        (folder / name).exists() for name in ("special_tokens_map.json", "added_tokens.json")
    ):
        return None
    try:
        made = Tokenizer.from_str(text)
    except Exception as error:  # tokenizers has no narrower one
        raise ValueError(str(error)) from error
    return made if family != "mistral" or made.get_vocab_size() <= _MOST_TOKENS else None


def _taken_as_it_is(state: Mapping[str, Any], config: Mapping[str, Any], family: str) -> bool:
    if any(config.get(key) for key in _OFF) or not all(
        key in _NEUTRAL or key in _OFF or key.endswith("_token") for key in config
    ):
        return False
    # Qwen2 gets a tokenizer of its own, whatever its folder says.
    name = config.get("tokenizer_class") or ""
    if family == "qwen2":
        if name.removesuffix("Fast") != "Qwen2Tokenizer" or not _is_qwen(state, config):
            return False
    elif name not in _GENERIC:
        return False
    return not (state.get("truncation") or state.get("padding")) and _complete(state, config)


def _is_qwen(state: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether transformers' Qwen2Tokenizer, which takes no more than the vocabulary and the merges
    from the file, makes of them what the file describes."""
    split, level = state["pre_tokenizer"]["pretokenizers"]
    model, vocabulary = state["model"], state["model"]["vocab"]
    added = {token["id"]: token["content"] for token in state["added_tokens"]}
    new = [number for number, token in added.items() if token not in vocabulary]
    pattern = {"Regex": _QWEN_SPLIT}
    return (
        state["normalizer"] == {"type": "NFC"}
        and split == {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
        and (level["type"], level["add_prefix_space"], level["use_regex"])
        == ("ByteLevel", False, False)
        and state["decoder"]["type"] == "ByteLevel"
        and model["type"] == "BPE"
        and not any(model.get(key) for key in (*_QWEN_MODEL, *_QWEN_FLAGS))
        and sorted(new) == list(range(len(vocabulary), len(vocabulary) + len(new)))
        and all(vocabulary.get(token, number) == number for number, token in added.items())
        and set(map(str, added)) == set(config.get("added_tokens_decoder", map(str, added)))
        and "<|endoftext|>" in added.values()  # the class's own
    )


def _complete(state: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether all tokens that the config names are there, with the same flags."""
    added = {token["id"]: token for token in state["added_tokens"]}
    told = config.get("added_tokens_decoder", {})
    if any(
        added.get(int(number), {}).get(flag) != token[flag]
        for number, token in told.items()
        for flag in _FLAGS
    ):
        return False
    return set(_named(config)) <= {token["content"] for token in added.values()}


def _named(config: Mapping[str, Any]) -> Iterator[str]:
    for key, value in config.items():
        if key in ("additional_special_tokens", "extra_special_tokens"):
            values = value.values() if isinstance(value, dict) else value or ()
            yield from map(_content, values)
        elif key.endswith("_token") and isinstance(value, str | dict):
            yield _content(value)


def _content(token: Any) -> str:
    if isinstance(token, dict) and token["__type"] == "AddedToken":
        token = token["content"]
    if not isinstance(token, str):
        raise TypeError(token)
    return token
