"""The recipe's settings, read once from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from p2assist.errors import ConfigError

DEFAULT = Path(__file__).parent.parent / "recipe.toml"
_REQUIREMENTS = DEFAULT.with_name("corpus.txt")


@dataclass(frozen=True, kw_only=True)
class CorpusRecipe:
    """Which packages, and how many characters of each."""

    seed: int = 0
    held_out: tuple[str, ...] = ()
    requirements: Path = _REQUIREMENTS
    default_cap: int = 1_500_000
    test_share: float = 0.08
    caps: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TokenizerRecipe:
    """Size of the vocabulary, special tokens included, and of the text it is learned from."""

    vocabulary: int = 8192
    sample_characters: int = 40_000_000

    def __post_init__(self) -> None:
        if not 300 <= self.vocabulary <= 65536:
            raise ConfigError(f"vocabulary = {self.vocabulary} must be in 300..65536")


@dataclass(frozen=True, kw_only=True)
class ModelRecipe:
    """The Llama shape."""

    hidden: int = 512
    layers: int = 6
    heads: int = 8
    kv_heads: int = 2
    intermediate: int = 1216
    positions: int = 2048

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise ConfigError(f"hidden = {self.hidden} is no multiple of heads = {self.heads}")
        if self.heads % self.kv_heads:
            raise ConfigError(f"heads = {self.heads} is no multiple of kv_heads = {self.kv_heads}")


@dataclass(frozen=True, kw_only=True)
class TrainRecipe:
    """Budget (minutes of wall clock, millions of tokens, or both: what is used up first; 0 for no
    bound), batch (sequences of `context` tokens), rates."""

    seed: int = 0
    minutes: float = 0.0
    million_tokens: float = 600.0
    context: int = 2048
    batch: int = 64
    fim_share: float = 0.8
    context_share: float = 0.5
    suffix_tokens: int = 256
    muon_rate: float = 0.02
    adam_rate: float = 4e-3
    weight_decay: float = 0.01
    warmup_steps: int = 50
    decay_from: float = 0.4
    clip: float = 1.0
    threads: int = 2

    def __post_init__(self) -> None:
        if self.minutes <= 0 and self.million_tokens <= 0:
            raise ConfigError("one of minutes and million_tokens must be above 0")
        if not 0 <= self.fim_share <= 1:
            raise ConfigError(f"fim_share = {self.fim_share} must be in 0..1")
        if not 0 < self.decay_from < 1:
            raise ConfigError(f"decay_from = {self.decay_from} must be between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class EvaluateRecipe:
    """Tasks of each kind, and the least characters of a line that is asked for."""

    seed: int = 0
    tasks: int = 300
    blocks: int = 100
    min_characters: int = 8
    beams: int = 8
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
        sections = {name: _section(kinds[name], name, data[name]) for name in data}
        if "requirements" in data.get("corpus", {}):
            beside = path.parent / data["corpus"]["requirements"]
            sections["corpus"] = replace(sections["corpus"], requirements=beside)
        return cls(**sections)


def _section(kind: type[Any], name: str, values: dict[str, Any]) -> Any:
    unknown = set(values) - set(kind.__dataclass_fields__)
    if unknown:
        raise ConfigError(f"[{name}]: unknown keys {sorted(unknown)}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
