"""The commit of a repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from p2assist.replay.provenance import current_commit


def _git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_commit_that_head_names(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-q")
    assert current_commit(tmp_path) == ""  # no commit yet
    _git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    (tmp_path / "src").mkdir()
    found = current_commit(tmp_path / "src")
    assert found == _git(tmp_path, "log", "-1", "--format=%H")
    assert len(found) == 40


def test_no_repository_and_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert current_commit(tmp_path) == ""
    assert current_commit(tmp_path / "nowhere") == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert current_commit(tmp_path) == ""
