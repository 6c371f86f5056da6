"""Settings: `[tool.p2assist]` of the repository and the user's own file, read once, frozen.

What the repository may say is the team's: paths, tests, limits, weights. A cloned repository is
not trusted, so isolation, the store's URL and the interpreter are the user's alone, and a model
that the repository names is used only where the user says so (`models` in the user's file, the
environment, or --model).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal, TypeVar

import platformdirs
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from p2assist.errors import ConfigError, RepositoryError
from p2assist.p2value import P2Settings

STATE = ".p2assist"  # the git-ignored folder of a repository's state
T = TypeVar("T")
_STRICT = ConfigDict(extra="forbid", frozen=True)


@dataclass(config=_STRICT, kw_only=True)
class HarnessConfig:
    """Limits of testing. timeout: seconds for one candidate's covering tests (the harness gives
    slow suites more: see its docstring). cpu: seconds that they may compute, beyond ten times what
    they took before: what hangs is not waited for. memory_mb: address space of the test process.
    workers: candidates tested at once, 0 for one a core. max_tests: tasks covered by more tests
    than this are not practised. keep_verdicts: in the state folder, for the next time."""

    timeout: float = 20.0
    cpu: float = 1.0
    memory_mb: int = 4096
    workers: int = 0
    max_tests: int = 100
    keep_verdicts: bool = True

    def __post_init__(self) -> None:
        _need(self.timeout > 0, "harness.timeout", self.timeout, "above 0")
        _need(self.cpu > 0, "harness.cpu", self.cpu, "above 0")
        _need(self.memory_mb >= 128, "harness.memory_mb", self.memory_mb, "at least 128")
        _need(self.workers >= 0, "harness.workers", self.workers, "at least 0")
        _need(self.max_tests >= 1, "harness.max_tests", self.max_tests, "at least 1")


@dataclass(config=_STRICT, kw_only=True)
class GenerationConfig:
    """Beam search. max_tokens: most tokens of a candidate by kind of span are derived from it:
    a line gets half of it. max_prompt_tokens: 0 for what the model was trained on. context_share:
    most of the prompt that repository context may take, 0..0.8; left out, the model's family
    decides."""

    beams: int = 8
    max_tokens: int = 96
    max_prompt_tokens: int = 0
    context_share: float | None = None

    def __post_init__(self) -> None:
        _need(1 <= self.beams <= 64, "generation.beams", self.beams, "between 1 and 64")
        _need(1 <= self.max_tokens <= 4096, "generation.max_tokens", self.max_tokens, "1..4096")
        prompt = self.max_prompt_tokens
        _need(prompt >= 0, "generation.max_prompt_tokens", prompt, "at least 0")
        share = self.context_share
        _need(share is None or 0 <= share <= 0.8, "generation.context_share", share, "0 to 0.8")


@dataclass(config=_STRICT, kw_only=True)
class LearningConfig:
    """A refresh. objective: a name of learning.objectives. samples: experiences drawn, with
    replacement, for one refresh. max_prompt_tokens: of an example's prompt, whose cost is nearly
    all of a refresh's; 0 for what generation asks with. held_out: share of the functions kept from
    training. beta: exponent of PER's importance weights (0: none, as in the paper). confidence: of
    the gate's bootstrap interval."""

    objective: str = "weighted"
    samples: int = 1024
    batch_size: int = 16
    learning_rate: float = 1e-3
    rank: int = 16
    max_prompt_tokens: int = 384
    seed: int = 0
    held_out: float = 0.3
    beta: float = 0.0
    confidence: float = 0.9

    def __post_init__(self) -> None:
        _need(self.samples >= 1, "learning.samples", self.samples, "at least 1")
        _need(self.batch_size >= 1, "learning.batch_size", self.batch_size, "at least 1")
        _need(self.learning_rate > 0, "learning.learning_rate", self.learning_rate, "above 0")
        _need(self.rank >= 1, "learning.rank", self.rank, "at least 1")
        most = self.max_prompt_tokens
        _need(most >= 0, "learning.max_prompt_tokens", most, "at least 0")
        _need(0 < self.held_out < 1, "learning.held_out", self.held_out, "between 0 and 1")
        _need(0 <= self.beta <= 1, "learning.beta", self.beta, "between 0 and 1")
        _need(0.5 <= self.confidence < 1, "learning.confidence", self.confidence, "0.5 to 1")


@dataclass(config=_STRICT, kw_only=True)
class TeamConfig:
    """`[tool.p2assist]`: what the repository says.

    paths, exclude: globs of the source files to work on, relative to the root. tests: what pytest
    is given. pytest_args: further arguments. model: 'pocket', a hub name or a path.
    """

    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    pytest_args: tuple[str, ...] = ()
    model: str = "pocket"
    harness: HarnessConfig = field(default_factory=HarnessConfig)
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)
    p2value: P2Settings = field(default_factory=P2Settings)


@dataclass(config=_STRICT, kw_only=True)
class ServeConfig:
    """The user's model process. enabled: whether commands share it; else each loads the model
    itself. idle: seconds without a request after which it leaves."""

    enabled: bool = True
    idle: float = 900.0

    def __post_init__(self) -> None:
        _need(self.idle > 0, "serve.idle", self.idle, "above 0")


@dataclass(config=_STRICT, kw_only=True)
class RemoteConfig:
    """A server of completions, which the user alone may choose: it is sent the code.

    url: up to /v1, '' for none. model: as the server names it. adapter: of its LoRA modules, ''
    for the base model. family: of generation.fim's templates, 'plain' for a model that does not
    infill. key: the name of the environment variable that holds the server's key. search: 'beam'
    for vLLM's own, 'branches' elsewhere. top: most first tokens that the server tells of at once.
    timeout: seconds for one request. context: most tokens of a prompt and its answer.
    """

    url: str = ""
    model: str = ""
    adapter: str = ""
    family: str = "plain"
    key: str = ""
    search: Literal["beam", "branches"] = "branches"
    top: int = 20
    timeout: float = 20.0
    context: int = 2048

    def __post_init__(self) -> None:
        known = not self.url or self.url.startswith(("http://", "https://"))
        _need(known, "remote.url", self.url, "a URL that begins with http:// or https://")
        _need(not self.url or bool(self.model), "remote.model", self.model, "the served model's")
        _need(self.top >= 1, "remote.top", self.top, "at least 1")
        _need(self.timeout > 0, "remote.timeout", self.timeout, "above 0")
        _need(self.context >= 128, "remote.context", self.context, "at least 128")


@dataclass(config=_STRICT, kw_only=True)
class UserConfig:
    """The user's config.toml: what no repository may set.

    model: overrides the repository's. models: names and paths that a repository may ask for.
    isolation: 'auto' takes the strongest that holds here; 'none' runs candidates unprotected.
    python: the interpreter of the project's tests, '' to look for it. store: an SQLAlchemy URL,
    '' for `.p2assist/replay.db`. remote: a server that completes instead of a model on this
    machine.
    """

    model: str = ""
    models: tuple[str, ...] = ()
    isolation: Literal["auto", "namespaces", "landlock", "none"] = "auto"
    python: str = ""
    store: str = ""
    serve: ServeConfig = field(default_factory=ServeConfig)
    remote: RemoteConfig = field(default_factory=RemoteConfig)


@dataclass(config=_STRICT, kw_only=True)
class Config:
    """Everything a command needs to know. root: the repository's absolute path."""

    root: Path
    team: TeamConfig = field(default_factory=TeamConfig)
    user: UserConfig = field(default_factory=UserConfig)

    @property
    def state(self) -> Path:
        return self.root / STATE

    @property
    def model(self) -> str:
        """The model to load. Raises ConfigError where only the repository wants it."""
        if self.user.model:
            return self.user.model
        asked = self.team.model
        if asked == "pocket" or asked in self.user.models:
            return asked
        raise ConfigError(
            f"this repository asks for the model {asked!r}. A repository is not trusted to choose "
            f"what is loaded: add it to `models` in {user_file()}, or give --model {asked}"
        )

    @property
    def store_url(self) -> str:
        return self.user.store or f"sqlite:///{self.state / 'replay.db'}"


def user_file() -> Path:
    """Where the user's settings are; $P2ASSIST_CONFIG overrides."""
    given = os.environ.get("P2ASSIST_CONFIG")
    return Path(given) if given else platformdirs.user_config_path("p2assist") / "config.toml"


def team_file(root: Path) -> Path:
    """The file that holds, or should hold, the team's settings: never a new pyproject.toml."""
    pyproject, own = root / "pyproject.toml", root / "p2assist.toml"
    return own if own.is_file() or not pyproject.is_file() else pyproject


def load(root: Path, *, model: str = "", python: str = "") -> Config:
    """The settings that hold for the repository at root; model and python override.

    Raises RepositoryError where root is no folder, ConfigError on a bad file or value.
    """
    root = root.resolve()
    if not root.is_dir():
        raise RepositoryError(f"{root} is not a folder: give the repository's root with --repo")
    file = team_file(root)
    table = _read(file)
    if file.name == "pyproject.toml":
        table = table.get("tool", {}).get("p2assist", {})
    else:
        table = table.get("tool", {}).get("p2assist", table)
    # A setting of the user's in the repository's file is an attack or a mistake: say which it is.
    for name in ("isolation", "python", "store", "models", "serve", "remote"):
        if name in table:
            raise ConfigError(f"{file}: {name!r} may only be set by the user, in {user_file()}")
    team = _parse(TeamConfig, table, file)
    return Config(root=root, team=team, user=load_user(model=model, python=python))


def load_user(*, model: str = "", python: str = "") -> UserConfig:
    """The user's own settings, with what the environment and the arguments say instead."""
    env = os.environ.get
    mine = dict(_read(user_file()))
    for name, value in (
        ("model", model or env("P2ASSIST_MODEL")),
        ("python", python or env("P2ASSIST_PYTHON")),
        ("isolation", env("P2ASSIST_ISOLATION")),
        ("store", env("P2ASSIST_STORE")),
    ):
        if value:
            mine[name] = value
    return _parse(UserConfig, mine, user_file())


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error


def _parse(kind: type[T], table: Mapping[str, Any], file: Path) -> T:
    try:
        return TypeAdapter(kind).validate_python(table)
    except ValidationError as error:
        lines = []
        for e in error.errors():
            where = ".".join(str(part) for part in e["loc"])
            lines.append(f"{where}: {e['msg']}, got {e['input']!r}"[:200])
        raise ConfigError(f"{file}, [tool.p2assist]: " + "; ".join(lines)) from error


def _need(ok: bool, name: str, value: object, what: str) -> None:
    if not ok:
        raise ConfigError(f"{name} = {value!r} is not {what}")
