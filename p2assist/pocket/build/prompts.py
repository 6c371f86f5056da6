"""The token ids a task is asked with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tokenizers import Tokenizer

from .tasks import Task
from .tokenizer import PREFIX, SUFFIX, token_id

_CHARACTERS_PER_TOKEN = 8  # generous; what is too much is cut after tokenising


@dataclass(frozen=True)
class Limits:
    """The most tokens that a prompt takes from either side of the cursor."""

    prefix: int
    suffix: int


Prompt = Callable[[Tokenizer, Task, Limits], list[int]]


def suffix_first(tokenizer: Tokenizer, task: Task, limits: Limits) -> list[int]:
    """`<|fim_suffix|>` suffix `<|fim_prefix|>` prefix, the prefix up to the cursor."""
    after = tokenizer.encode(task.suffix[: limits.suffix * _CHARACTERS_PER_TOKEN]).ids
    return [
        token_id(tokenizer, SUFFIX),
        *after[: limits.suffix],
        token_id(tokenizer, PREFIX),
        *_before(tokenizer, task.prefix, limits.prefix),
    ]


def suffix_first_healed(tokenizer: Tokenizer, task: Task, limits: Limits) -> list[int]:
    """As suffix_first, but an indentation's last blank is left for the model to write.

    In running text that blank is in the token of the word after it.
    """
    return suffix_first(tokenizer, _healed(task), limits)


def left_to_right(tokenizer: Tokenizer, task: Task, limits: Limits) -> list[int]:
    """The prefix alone, its last blank left for the model to write."""
    return _before(tokenizer, _healed(task).prefix, limits.prefix)


def _healed(task: Task) -> Task:
    return replace(task, prefix=task.prefix.removesuffix(" "))


def _before(tokenizer: Tokenizer, prefix: str, most: int) -> list[int]:
    """The last whole lines of the prefix that make at most `most` tokens."""
    lines = prefix[-most * _CHARACTERS_PER_TOKEN :].split("\n")
    if len(prefix) > most * _CHARACTERS_PER_TOKEN:
        lines = lines[1:] or lines
    ids = tokenizer.encode("\n".join(lines)).ids
    while len(ids) > most and len(lines) > 1:
        lines = lines[max(1, len(lines) * (len(ids) - most) // len(ids)) :]
        ids = tokenizer.encode("\n".join(lines)).ids
    return ids[-most:]
