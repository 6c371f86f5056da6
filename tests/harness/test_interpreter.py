from __future__ import annotations

import os
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from p2assist.config import Config, UserConfig
from p2assist.errors import HarnessError
from p2assist.harness import impact, interpreter, suite

from .helpers import bare_python, write


def config_of(root: Path, python: str = "") -> Config:
    root.mkdir(exist_ok=True)
    return Config(root=root.resolve(), user=UserConfig(python=python))


def test_the_users_choice_comes_first(tmp_path: Path) -> None:
    config = config_of(tmp_path / "repo", str(bare_python()))
    found = interpreter.find(config)
    assert interpreter.find_python(config) == found.python == bare_python()
    assert found.version == sys.version_info[:3]
    assert found.modules == {"pytest"}
    assert str(bare_python().parents[1]) in found.read


def test_a_repositorys_environment_runs_in_the_sandbox_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "_ask_outside", lambda python: pytest.fail("it ran outside"))
    root = tmp_path / "repo"
    root.mkdir()
    (root / ".venv").symlink_to(bare_python().parents[1])
    # A link out of the repository is followed only to an installation.
    assert interpreter.find_python(config_of(root)) == root / ".venv/bin/python"


def test_a_repository_cannot_have_a_home_opened_by_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    write(home, {".ssh/id": "secret", "bin/python": "#!/bin/sh\ncat ../.ssh/id\n"})
    (home / "bin/python").chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    root = tmp_path / "repo"
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/python").symlink_to(home / "bin/python")
    with pytest.raises(HarnessError, match="--python"):
        interpreter.find(config_of(root))


def test_the_active_environment_unless_it_is_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(bare_python().parents[1]))
    assert interpreter.find_python(config_of(tmp_path / "repo")) == bare_python()
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    monkeypatch.setenv("PATH", str(Path(sys.prefix) / "bin"))
    monkeypatch.setattr(sys, "executable", str(bare_python()))
    assert interpreter.find_python(config_of(tmp_path / "other")) == bare_python()


def test_python3_on_the_path_is_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    path = os.pathsep.join([str(Path(sys.prefix) / "bin"), str(bare_python().parent)])
    monkeypatch.setenv("PATH", path)
    found = interpreter.find_python(config_of(tmp_path / "repo"))
    assert found == bare_python().parent / "python3"


def test_a_shim_is_seen_through(tmp_path: Path) -> None:
    shim = write(tmp_path, {"shim": f'#!/bin/sh\nexec {bare_python()} "$@"\n'}) / "shim"
    shim.chmod(0o755)
    assert interpreter.find_python(config_of(tmp_path / "repo", str(shim))) == bare_python()


def test_what_cannot_be_used_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"no Python interpreter.*--python"):
        interpreter.find(config_of(tmp_path / "a", "/nowhere/python"))
    with pytest.raises(HarnessError, match="does not run"):
        interpreter.find(config_of(tmp_path / "b", "/bin/true"))
    empty = tmp_path / "empty"
    empty.mkdir()
    venv.create(empty, with_pip=False)
    with pytest.raises(HarnessError, match=r"cannot import pytest: .*pip install pytest.*--python"):
        interpreter.find(config_of(tmp_path / "c", str(empty / "bin/python")))


def test_a_root_that_holds_the_home_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "repo/home"))
    with pytest.raises(HarnessError, match="holds your home folder"):
        suite.Suite.of(config_of(tmp_path / "repo", str(bare_python())))


def test_a_project_with_an_environment_inside_is_tested(project: Callable[..., Config]) -> None:
    made = project(
        {"lib.py": "def f():\n    return 1\n", "test_it.py": "import lib\ndef test_f(): lib.f()\n"}
    )
    (made.root / "venv").symlink_to(bare_python().parents[1])
    config = Config(root=made.root)
    known = impact.build(config)
    assert known.python == str(made.root / "venv/bin/python")
    assert [t.node_id for t in known.passing] == ["test_it.py::test_f"]
