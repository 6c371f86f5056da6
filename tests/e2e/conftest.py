"""Real editors, fetched by `make e2e-setup`; a Neovim of any version with the stand-in server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the drivers beside the tests

if TYPE_CHECKING:  # the driver needs pynvim, which the other editors' tests do without
    from nvim_driver import Journal, Neovim

STANDIN = Path(__file__).with_name("standin.py")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\nname = 'shop'\n")
    (root / "shop.py").write_text("# a shop\n\n")
    return root


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    from nvim_driver import Journal

    return Journal(tmp_path / "journal.jsonl")


@pytest.fixture
def version() -> str:
    """The Neovim of a test that is not for every version."""
    return "0.11"


@pytest.fixture
def binary(version: str) -> Path:
    from nvim_driver import EDITORS

    path = EDITORS / version / "nvim"
    if not path.exists():
        pytest.skip(f"make e2e-setup fetches Neovim {version}")
    return path


@pytest.fixture
def start(
    project: Path, journal: Journal, tmp_path: Path, binary: Path
) -> Iterator[Callable[..., Neovim]]:
    """Starts Neovim with settings (Lua), on the project trusted by the user's settings."""
    from nvim_driver import Neovim

    running: list[Neovim] = []

    def run(settings: str = "", *, trusted: bool = True, init: str = "", **env: str) -> Neovim:
        trust = f'trusted = {{ "{project}" }},' if trusted else ""
        command = f'cmd = {{ "{sys.executable}", "{STANDIN}" }},'
        editor = Neovim(
            tmp_path / "home",
            project / "shop.py",
            f'{init}\nrequire("p2assist").setup({{ {command} {trust} {settings} }})',
            {"P2ASSIST_STANDIN_LOG": str(journal.path), **env},
            binary,
        )
        running.append(editor)
        return editor

    yield run
    for editor in running:
        editor.close()


@pytest.fixture
def editor(start: Callable[..., Neovim]) -> Neovim:
    editor = start()
    editor.until_attached()
    return editor
