"""The recipe's settings, read once from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from p2assist.errors import ConfigError

DEFAULT = Path(__file__).parent.parent / "recipe.toml"


@dataclass(frozen=True, kw_only=True)
class CorpusRecipe:
    """Which packages, and how many characters of each."""

    seed: int = 0
    held_out: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    default_cap: int = 1_500_000
    test_share: float = 0.08
    caps: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TokenizerRecipe:
    """Size of the vocabulary, special tokens included, and of the text it is learned from."""

    vocabulary: int = 4096
    sample_characters: int = 20_000_000


@dataclass(frozen=True, kw_only=True)
class ModelRecipe:
    """The Llama shape."""

    hidden: int = 256
    layers: int = 6
    heads: int = 4
    intermediate: int = 704
    positions: int = 2048

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise ConfigError(f"hidden = {self.hidden} is no multiple of heads = {self.heads}")


@dataclass(frozen=True, kw_only=True)
class TrainRecipe:
    """Budget (minutes of wall clock), batch (sequences of `context` tokens), rates."""

    seed: int = 0
    minutes: float = 55.0
    context: int = 512
    batch: int = 16
    fim_share: float = 0.6
    context_share: float = 0.15
    suffix_tokens: int = 100
    muon_rate: float = 0.02
    adam_rate: float = 4e-3
    weight_decay: float = 0.01
    warmup_steps: int = 50
    decay_from: float = 0.6
    clip: float = 1.0
    threads: int = 2
    snapshot_from: float = 10.0
    snapshot_every: float = 8.0

    def __post_init__(self) -> None:
        if self.minutes <= 0:
            raise ConfigError(f"minutes = {self.minutes} must be above 0")
        if not 0 <= self.fim_share <= 1:
            raise ConfigError(f"fim_share = {self.fim_share} must be in 0..1")
        if not 0 < self.decay_from < 1:
            raise ConfigError(f"decay_from = {self.decay_from} must be between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class EvaluateRecipe:
    """Tasks per evaluation and the limits of one completion."""

    seed: int = 0
    tasks: int = 200
    min_characters: int = 8
    beams: int = 8
    max_tokens: int = 40
    prefix_tokens: int = 380
    suffix_tokens: int = 100
    bits_characters: int = 200_000


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All sections."""

    corpus: CorpusRecipe = CorpusRecipe()
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    model: ModelRecipe = ModelRecipe()
    train: TrainRecipe = TrainRecipe()
    evaluate: EvaluateRecipe = EvaluateRecipe()

    @classmethod
    def from_file(cls, path: Path = DEFAULT) -> Recipe:
        """Read a recipe; keys left out keep their defaults, unknown ones raise ConfigError."""
        data = tomllib.loads(path.read_text("utf8"))
        kinds: dict[str, type[Any]] = {
            "corpus": CorpusRecipe,
            "tokenizer": TokenizerRecipe,
            "model": ModelRecipe,
            "train": TrainRecipe,
            "evaluate": EvaluateRecipe,
        }
        unknown = set(data) - set(kinds)
        if unknown:
            raise ConfigError(f"{path}: unknown sections {sorted(unknown)}")
        return cls(**{name: _section(kinds[name], name, data[name]) for name in data})


def _section(kind: type[Any], name: str, values: dict[str, Any]) -> Any:
    unknown = set(values) - set(kind.__dataclass_fields__)
    if unknown:
        raise ConfigError(f"[{name}]: unknown keys {sorted(unknown)}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
