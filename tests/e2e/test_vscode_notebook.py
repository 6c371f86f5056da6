"""A notebook in a real VS Code: its cells know those above, and what is accepted is kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="make e2e-setup installs it")

import vscode
from quickstart import Quickstart, quickstart
from vscode import VSIX, Profile, Window, wait

pytestmark = [*vscode.NEEDS, pytest.mark.model, pytest.mark.timeout(600)]

ABOVE = "from basket.pricing import discounted, vat\n\nnet_amount = discounted(1000, 10)\n"


def code(source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": source,
    }


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Quickstart]:
    with quickstart(tmp_path) as project:
        cells = [code(ABOVE.rstrip("\n")), code("")]
        notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (project.root / "prices.ipynb").write_text(json.dumps(notebook))
        yield project


@pytest.fixture
def window(tmp_path: Path, shop: Quickstart) -> Iterator[Window]:
    profile = Profile(tmp_path / "vscode")
    profile.set({"p2assist.path": shop.command[0], "p2assist.python": sys.executable})
    profile.install(VSIX)
    with (
        vscode.code_server(profile, shop.environment, "--disable-workspace-trust") as address,
        vscode.chromium() as page,
    ):
        other = tmp_path / "another"
        other.mkdir()
        workspace = tmp_path / "both.code-workspace"
        folders = [{"path": str(folder)} for folder in (other, shop.root)]
        workspace.write_text(json.dumps({"folders": folders}))
        window = Window.of_notebook(page(), address, workspace, shop.root / "prices.ipynb")
        try:
            yield window
        finally:
            window.shot("notebook-last")


def test_a_cell_is_completed_from_those_above_and_what_is_accepted_is_kept(
    window: Window, shop: Quickstart
) -> None:
    wait(lambda: window.bar() == "pocket", lambda: f"ready, it is {window.bar()!r}", patience=180)
    window.cell(2)
    typed = "tax = vat(net_"
    window.type(typed)
    ghost = wait(window.ghost, "ghost text")
    assert ghost.startswith("amount"), "the name stands in the cell above, and nowhere else"
    window.until_bar("no covering test")  # of a trusted folder: no test runs a notebook
    window.shot("notebook")
    window.press("Tab")
    wait(lambda: (ghost, "accepted") in shop.kept(), lambda: f"kept: {shop.kept()}")
    first, second = json.loads(window.saved())["cells"]
    assert "".join(first["source"]) == ABOVE.rstrip("\n")
    assert "".join(second["source"]) == typed + ghost
    tasks = shop.tasks(ghost)
    assert {(task.path, task.source) for task in tasks} == {("prices.ipynb", ABOVE + typed)}
    window.command("p2assist: Show Status")  # of the notebook's folder, which is not the first
    wait(lambda: "tests cover this workspace" in window.list()[0], lambda: str(window.list()))
    window.shot("notebook-status")
