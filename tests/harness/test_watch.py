from __future__ import annotations

import time
from pathlib import Path

import pytest

from p2assist.harness import environment
from p2assist.harness.watch import Watch


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A repository, its environment, and sources that the environment links to."""
    for name in ("repo/pack", "repo/__pycache__", "repo/.p2assist", "linked/lib"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "env/lib/python3.11/site-packages/there").mkdir(parents=True)
    (tmp_path / "env/pyvenv.cfg").write_text("include-system-site-packages = false\n")
    return tmp_path / "repo", tmp_path / "env", tmp_path / "linked"


def test_what_is_written_is_seen(places: tuple[Path, Path, Path]) -> None:
    root, env, linked = places
    watch = Watch(root, [str(env), str(linked)])
    seen = watch.look()
    for file in (
        root / "pack/core.py",
        root / "data.bin",
        linked / "lib/core.py",
        env / "lib/python3.11/site-packages/new.py",
        env / "pyvenv.cfg",
    ):
        file.write_text("1")
        now = watch.look()
        assert now != seen, file
        seen = now
    for file in (root / "__pycache__/core.pyc", root / ".p2assist/replay.db"):
        file.write_text("1")
        assert watch.look() == seen, file
    assert watch.state == seen


def test_the_state_is_looked_at_again_after_a_while(places: tuple[Path, Path, Path]) -> None:
    root, env, _ = places
    watch = Watch(root, [str(env)])
    seen = watch.state
    (root / "pack/core.py").write_text("1")
    deadline = time.monotonic() + 60
    while watch.state == seen:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("closed", ["true", "false"])
def test_packages_of_the_system_count_where_they_are_imported_from(
    tmp_path: Path, closed: str
) -> None:
    for name in ("env", "base"):
        (tmp_path / name / "lib/python3.11/site-packages").mkdir(parents=True)
    (tmp_path / "base/lib/python3.11/os.py").write_text("")
    (tmp_path / "base/lib/python3.11/lib-dynload").mkdir()
    (tmp_path / "env/pyvenv.cfg").write_text(f"home = /x\ninclude-system-site-packages = {closed}")
    (tmp_path / "env/lib64").symlink_to("lib")
    read = [str(tmp_path / name) for name in ("env", "base", "base/lib/python3.11")]
    read.append(str(tmp_path / "base/lib/python3.11/lib-dynload"))
    found = {path.relative_to(tmp_path).parts[0] for path in environment.packages(read)}
    assert found == ({"env"} if closed == "false" else {"env", "base"})
    assert len(list(environment.packages(read))) == len(found)
    assert list(environment.linked(read)) == []
    assert list(environment.linked([*read, str(tmp_path)])) == [tmp_path]
