"""The Neovim plugin as a person sees it: in a real terminal, with pictures to look at."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pynvim", reason="make e2e-setup installs it")

from nvim_driver import ROOT, screen_settings
from terminal import Terminal, keep, picture

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="make e2e-setup fetches tmux"),
]

SHOTS = ROOT / ".e2e/shots"


@pytest.fixture
def ghost() -> str:
    """Who draws the ghost text."""
    return "own"


@pytest.fixture
def terminal(tmp_path: Path, binary: Path, ghost: str) -> Iterator[Terminal]:
    project = tmp_path / "shop"
    project.mkdir()
    (project / "pyproject.toml").touch()
    (project / "prices.py").write_text('"""Prices of a shop, in cents."""\n\n\n')
    command = [sys.executable, str(ROOT / "tests/e2e/standin.py")]
    arguments, environment = screen_settings(tmp_path / "home", project, command, binary, ghost)
    environment["P2ASSIST_STANDIN_LOG"] = str(tmp_path / "journal.jsonl")
    terminal = Terminal([*arguments, "prices.py"], environment, folder=project, rows=16)
    yield terminal
    terminal.close()


def shoot(terminal: Terminal, name: str) -> None:
    svg = picture([terminal.capture()], columns=terminal.columns, rows=terminal.rows, title=name)
    keep(SHOTS / f"{name}.svg", svg)


def test_ghost_text_evidence_and_the_window_that_says_why(terminal):
    terminal.until("Prices of a shop")
    terminal.press("G", "A")
    terminal.type("def add")
    terminal.until("def add(a, b):   7/7 covering tests")
    terminal.until("    return a + b")
    shoot(terminal, "nvim-ghost")
    terminal.press("M-]")
    terminal.until("2/3 · fails test_add")
    terminal.press("M-?")
    terminal.until("Why this completion?")
    terminal.until("+    return a + b")
    shoot(terminal, "nvim-why")
    terminal.press("M-[")
    terminal.until("1/3 · 7/7 covering tests")
    terminal.press("M-l")
    terminal.press("Escape")
    terminal.type(":w")
    terminal.press("Enter")
    terminal.until("4L, ")
    shoot(terminal, "nvim-accepted")


@pytest.mark.parametrize(("version", "ghost"), [("0.12", "native")])
def test_neovims_own_ghost_text(terminal):
    terminal.until("p2 · pocket")
    terminal.press("G", "A")
    terminal.type("def add")
    terminal.until("def add(a, b):")
    terminal.until("    return a + b")
    terminal.until("pocket · 7/7 covering tests")
    shoot(terminal, "nvim-native")
    terminal.press("M-l")
    terminal.press("Escape")
    terminal.type(":w")
    terminal.press("Enter")
    terminal.until("4L, ")
