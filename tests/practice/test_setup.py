from pathlib import Path

import pytest

from p2assist.config import Config, load
from p2assist.errors import ConfigError
from p2assist.practice.setup import folders_of_tests, source_globs, write_settings

VALUES = {"model": "pocket", "paths": ["shop/**"], "tests": ["tests"]}


def written(root: Path) -> Config:
    write_settings(Config(root=root), VALUES)
    return load(root)


def test_own_file_where_there_is_no_pyproject(tmp_path: Path) -> None:
    assert written(tmp_path).team.paths == ("shop/**",)
    assert (tmp_path / "p2assist.toml").is_file()
    assert not (tmp_path / "pyproject.toml").exists()


def test_pyproject_keeps_its_comments_and_order(tmp_path: Path) -> None:
    text = '# ours\n[project]\nname = "shop"  # the name\n\n[tool.ruff]\nline-length = 90\n'
    (tmp_path / "pyproject.toml").write_text(text)
    assert written(tmp_path).team.tests == ("tests",)
    after = (tmp_path / "pyproject.toml").read_text()
    assert after.startswith(text)
    assert "[tool.p2assist]" in after


def test_a_persons_settings_stay_and_the_second_time_nothing_is_added(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.p2assist]\npaths = ["mine"]  # mine\n')
    first = write_settings(Config(root=tmp_path), VALUES)
    assert first.added == ("model", "tests")
    before = (tmp_path / "pyproject.toml").read_bytes()
    second = write_settings(Config(root=tmp_path), VALUES)
    assert second.added == ()
    assert not second.ignored
    assert (tmp_path / "pyproject.toml").read_bytes() == before
    assert 'paths = ["mine"]  # mine' in before.decode()


def test_settings_under_their_full_name_in_the_own_file(tmp_path: Path) -> None:
    (tmp_path / "p2assist.toml").write_text('[tool.p2assist]\npaths = ["mine"]\n')
    assert written(tmp_path).team.paths == ("mine",)
    assert load(tmp_path).team.tests == ("tests",)


@pytest.mark.parametrize("text", ["", "build\n", "build", ".p2assist\n", "/.p2assist/\n"])
def test_gitignore_names_the_state_once(tmp_path: Path, text: str) -> None:
    (tmp_path / ".gitignore").write_text(text)
    written(tmp_path)
    written(tmp_path)
    lines = (tmp_path / ".gitignore").read_text().splitlines()
    assert sum(line.strip("/") == ".p2assist" for line in lines) == 1
    assert set(text.split()) <= set(lines)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").mkdir()
    with pytest.raises(ConfigError, match=r"\.gitignore cannot be written"):
        written(tmp_path)


def test_globs_and_folders() -> None:
    assert source_globs(["shop/a.py", "shop/deep/b.py", "one.py"]) == ["one.py", "shop/**"]
    assert source_globs(["src/shop/a.py"]) == ["src/shop/**"]
    assert folders_of_tests(["tests/a.py", "tests/deep/b.py", "shop/tests/c.py"]) == [
        "shop/tests",
        "tests",
    ]
    assert folders_of_tests(["test_top.py"]) == ["test_top.py"]
