"""Stage 2: a byte-level BPE for Python with Qwen's pre-tokenizer and special tokens."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from p2assist.errors import ConfigError

from .recipe import TokenizerRecipe

END = "<|endoftext|>"
PREFIX = "<|fim_prefix|>"
MIDDLE = "<|fim_middle|>"
SUFFIX = "<|fim_suffix|>"
FILE = "<|file_sep|>"
SPECIAL = (END, PREFIX, MIDDLE, SUFFIX, FILE)
"""Special tokens; their ids are their places."""

# The `qwen2` pre-tokenizer, as other engines know it.
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def learn(recipe: TokenizerRecipe, texts: Sequence[str], seed: int = 0) -> Tokenizer:
    """Learn the merges from a random sample of the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(texts, recipe.sample_characters, seed), trainer)
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path, *, positions: int) -> None:
    """Write tokenizer.json and the tokenizer_config.json that AutoTokenizer reads."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": END,
        "additional_special_tokens": list(SPECIAL[1:]),
        "clean_up_tokenization_spaces": False,
        "model_max_length": positions,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf8")


def load(folder: Path) -> Tokenizer:
    """The tokenizer that `save` wrote."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that must be there, or ConfigError."""
    number = tokenizer.token_to_id(token)
    if number is None:
        raise ConfigError(f"the tokenizer has no token {token}")
    return number


def _sample(texts: Sequence[str], characters: int, seed: int) -> list[str]:
    order = list(range(len(texts)))
    random.Random(seed).shuffle(order)  # noqa: S311 (no secret)
    chosen, total = [], 0
    for i in order:
        if total >= characters:
            break
        chosen.append(texts[i])
        total += len(texts[i])
    return chosen
