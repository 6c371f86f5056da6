"""Settings: where they come from, who may set them, and what is said of bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2assist.config import (
    Config,
    GenerationConfig,
    HarnessConfig,
    LearningConfig,
    TeamConfig,
    UserConfig,
    load,
    team_file,
    user_file,
)
from p2assist.errors import ConfigError, RepositoryError


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's file, which is not there until a test writes it."""
    for name in ("MODEL", "PYTHON", "ISOLATION", "STORE"):
        monkeypatch.delenv(f"P2ASSIST_{name}", raising=False)
    file = tmp_path / "user.toml"
    monkeypatch.setenv("P2ASSIST_CONFIG", str(file))
    return file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    return folder


def _team(root: Path, text: str) -> None:
    (root / "pyproject.toml").write_text(f"[tool.p2assist]\n{text}\n", encoding="utf-8")


def test_nothing_set(root: Path) -> None:
    config = load(root)
    assert config.team == TeamConfig()
    assert config.user == UserConfig()
    assert config.model == "pocket"
    assert config.state == root.resolve() / ".p2assist"
    assert config.store_url == f"sqlite:///{root.resolve()}/.p2assist/replay.db"


def test_the_teams_settings(root: Path) -> None:
    _team(
        root,
        'paths = ["src/**"]\npytest_args = ["-x"]\n'
        "[tool.p2assist.harness]\ntimeout = 5\n"
        '[tool.p2assist.p2value]\nform = "product"\n',
    )
    team = load(root).team
    assert team.paths == ("src/**",)
    assert team.pytest_args == ("-x",)
    assert team.harness.timeout == 5.0
    assert team.p2value.form == "product"


def test_a_pyproject_of_others(root: Path) -> None:
    (root / "pyproject.toml").write_text('[tool.black]\nline-length = 99\n[project]\nname="x"\n')
    assert load(root).team == TeamConfig()
    assert team_file(root) == root / "pyproject.toml"


@pytest.mark.parametrize("header", ["", "[tool.p2assist]\n"])
def test_own_file_where_there_is_no_pyproject(root: Path, header: str) -> None:
    assert team_file(root) == root / "p2assist.toml"
    (root / "p2assist.toml").write_text(header + 'tests = ["checks"]\n', encoding="utf-8")
    assert load(root).team.tests == ("checks",)
    assert not (root / "pyproject.toml").exists()


def test_own_file_goes_before_pyproject(root: Path) -> None:
    _team(root, 'tests = ["a"]')
    (root / "p2assist.toml").write_text('tests = ["b"]\n', encoding="utf-8")
    assert load(root).team.tests == ("b",)


@pytest.mark.parametrize(
    "line",
    [
        'isolation = "none"',
        'python = "/tmp/evil"',
        'store = "sqlite:////x"',
        'models = ["evil"]',
        'remote = { url = "https://evil", model = "m" }',
    ],
)
def test_a_repository_may_not_set_what_is_the_users(root: Path, mine: Path, line: str) -> None:
    _team(root, line)
    name = line.split()[0]
    with pytest.raises(ConfigError, match=f"'{name}' may only be set by the user") as error:
        load(root)
    assert str(mine) in str(error.value)


def test_the_users_settings(root: Path, mine: Path) -> None:
    mine.write_text('isolation = "landlock"\nstore = "sqlite:////else.db"\n', encoding="utf-8")
    config = load(root)
    assert config.user.isolation == "landlock"
    assert config.store_url == "sqlite:////else.db"


def test_the_environment_goes_before_the_users_file(
    root: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine.write_text('isolation = "landlock"\npython = "python3.12"\n', encoding="utf-8")
    monkeypatch.setenv("P2ASSIST_ISOLATION", "none")
    monkeypatch.setenv("P2ASSIST_PYTHON", "python3.13")
    monkeypatch.setenv("P2ASSIST_STORE", "sqlite:////env.db")
    user = load(root).user
    assert (user.isolation, user.python, user.store) == ("none", "python3.13", "sqlite:////env.db")
    assert load(root, python="given").user.python == "given"


def test_a_repositorys_model_is_not_trusted(root: Path, mine: Path) -> None:
    _team(root, 'model = "someone/model"')
    with pytest.raises(ConfigError, match=r"'someone/model'.*not trusted.*--model someone/model"):
        load(root).model  # noqa: B018
    mine.write_text('models = ["someone/model"]\n', encoding="utf-8")
    assert load(root).model == "someone/model"


def test_the_users_model_needs_no_leave(
    root: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _team(root, 'model = "someone/model"')
    mine.write_text('model = "from the file"\n', encoding="utf-8")
    assert load(root).model == "from the file"
    monkeypatch.setenv("P2ASSIST_MODEL", "from the environment")
    assert load(root).model == "from the environment"
    assert load(root, model="given").model == "given"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("colour = 3", "colour"),
        ('paths = "src"', "paths"),
        ("[tool.p2assist.harness]\ntimeout = 0", r"harness\.timeout = 0"),
        ("[tool.p2assist.generation]\nbeams = 65", r"generation\.beams = 65"),
        ("[tool.p2assist.learning]\nheld_out = 1.0", r"learning\.held_out = 1"),
        ("[tool.p2assist.learning]\nsteps = 1", r"learning\.steps"),
        ("[tool.p2assist.p2value]\ntemperature = -1", "temperature = -1"),
        ('[tool.p2assist.p2value]\nform = "best"', "form"),
    ],
)
def test_a_bad_value_is_named_with_its_file(root: Path, text: str, named: str) -> None:
    _team(root, text)
    with pytest.raises(ConfigError, match=named):
        load(root)


def test_the_file_of_a_bad_value_is_named(root: Path, mine: Path) -> None:
    _team(root, "colour = 3")
    with pytest.raises(ConfigError, match=r"pyproject\.toml"):
        load(root)
    _team(root, "")
    mine.write_text('isolation = "prayer"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"user\.toml.*isolation"):
        load(root)


@pytest.mark.parametrize("content", [b"[tool.p2assist\n", b"\xff\xfe\n"])
def test_a_file_that_cannot_be_read_is_named(root: Path, content: bytes) -> None:
    (root / "p2assist.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"p2assist\.toml cannot be read"):
        load(root)


def test_a_root_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="--repo"):
        load(tmp_path / "nowhere")


def test_where_the_users_file_is(monkeypatch: pytest.MonkeyPatch, mine: Path) -> None:
    assert user_file() == mine
    monkeypatch.delenv("P2ASSIST_CONFIG")
    assert user_file().parts[-2:] == ("p2assist", "config.toml")


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (HarnessConfig, "memory_mb", 64),
        (HarnessConfig, "workers", -1),
        (HarnessConfig, "max_tests", 0),
        (GenerationConfig, "max_tokens", 0),
        (GenerationConfig, "max_prompt_tokens", -1),
        (LearningConfig, "samples", 0),
        (LearningConfig, "max_prompt_tokens", -1),
        (LearningConfig, "batch_size", 0),
        (LearningConfig, "learning_rate", 0.0),
        (LearningConfig, "rank", 0),
        (LearningConfig, "beta", 1.5),
        (LearningConfig, "confidence", 0.4),
    ],
)
def test_every_limit_names_its_setting_and_value(kind: type, name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"\.{name} = {value!r} is not"):
        kind(**{name: value})


def test_config_is_frozen(root: Path) -> None:
    config = Config(root=root)
    with pytest.raises(Exception, match=r"frozen|cannot assign"):
        config.root = root / "other"  # type: ignore[misc]
