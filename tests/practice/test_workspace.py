from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from p2assist.config import Config, RemoteConfig, UserConfig
from p2assist.generation.remote.generator import RemoteGenerator
from p2assist.practice.workspace import Workspace


@pytest.fixture
def config(tmp_path: Path) -> Config:
    remote = RemoteConfig(url="http://127.0.0.1:9/v1", model="coder", adapter="shop-3")
    return Config(root=tmp_path, user=UserConfig(remote=remote))


@pytest.mark.parametrize(("asked", "adapter"), [(None, "shop-3"), ("", ""), ("shop-2", "shop-2")])
def test_the_server_that_the_user_names_is_asked_instead_of_a_model_here(
    config: Config, asked: str | None, adapter: str
) -> None:
    with Workspace(config) as space:
        for made in (space.generator(asked), space.completer(asked)):
            assert (made.model, made.adapter) == ("coder", adapter)
        assert isinstance(space.generator(asked), RemoteGenerator)


def test_the_state_folder_ignores_itself(tmp_path: Path) -> None:
    with Workspace(Config(root=tmp_path)) as space:
        assert space.store.stats().tasks == 0
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    told = subprocess.run(
        ["git", "-C", str(tmp_path), "status", "--porcelain"], capture_output=True, check=True
    )
    assert (tmp_path / ".p2assist" / "replay.db").is_file()
    assert told.stdout == b""
