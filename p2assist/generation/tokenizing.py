"""A model's tokenizer from its folder, where transformers would change nothing in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

_GENERIC = frozenset({"PreTrainedTokenizerFast", "TokenizersBackend"})
_OWN = frozenset(
    {"qwen2"}
)  # families that transformers gives a tokenizer of their own all the same
_MOST_TOKENS = 100_000  # with more, transformers looks for a Mistral whose splitting it mends
_NEUTRAL = frozenset(
    {
        "additional_special_tokens",
        "added_tokens_decoder",
        "backend",
        "chat_template",
        "clean_up_tokenization_spaces",
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


def read_tokenizer(folder: Path, family: str) -> Tokenizer | None:
    """What transformers' AutoTokenizer has inside, but for what it puts around a text; None where
    that may be something else than the folder's tokenizer.json.

    Raises OSError, ValueError, KeyError or TypeError where a file is missing or damaged.
    """
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    text = (folder / "tokenizer.json").read_text("utf-8")
    state = json.loads(text)
    if family in _OWN or config.get("tokenizer_class") not in _GENERIC:
        return None
    others = ("special_tokens_map.json", "added_tokens.json", "tekken.json")
    if any((folder / name).exists() for name in others):
        return None
    if not all(key in _NEUTRAL or key.endswith("_token") for key in config):
        return None
    if state.get("truncation") or state.get("padding") or not _complete(state, config):
        return None
    try:
        made = Tokenizer.from_str(text)
    except Exception as error:  # tokenizers has no narrower one
        raise ValueError(str(error)) from error
    return made if made.get_vocab_size() <= _MOST_TOKENS else None


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
