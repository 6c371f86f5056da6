"""The VS Code extension in a real VS Code, against a stand-in for the language server."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="make e2e-setup installs it")

import vscode
from vscode import ROOT, VSIX, Profile, Window, wait

pytestmark = vscode.NEEDS

STANDIN = ROOT / "tests/e2e/standin.py"
SUM = "(a, b):\n    return a + b"
DIFFERENCE = "(a, b):\n    return a - b"
ANY_ORDER = "(*terms):\n    return sum(terms)"


@dataclass
class Stage:
    """A running VS Code with the stand-in behind it."""

    profile: Profile
    address: str
    page: Callable[[], Any]
    journal: Path
    program: Path

    def told(self, what: str) -> list[dict[str, Any]]:
        """What the server was told, of one kind, in order."""
        if not self.journal.exists():
            return []
        entries = map(json.loads, self.journal.read_text().splitlines())
        return [entry for entry in entries if entry["what"] == what]

    def until_told(self, what: str, count: int = 1) -> dict[str, Any]:
        return wait(lambda: self.told(what)[count - 1 : count], f"{count} x {what}")[0]


@contextlib.contextmanager
def staged(
    home: Path, page: Callable[[], Any], *arguments: str, settings: str = "User"
) -> Iterator[Stage]:
    """settings: whose settings name the program, the user's or the machine's."""
    journal, program = home / "journal.jsonl", home / "p2assist"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {STANDIN} "$@"\n')
    program.chmod(0o755)
    profile = Profile(home / "profile")
    names = {"p2assist.path": str(program)}
    calm = {"security.workspace.trust.startupPrompt": "never"}
    profile.set(calm | (names if settings == "User" else {}))
    if settings == "Machine":
        profile.write("Machine", names)
    profile.install(VSIX)
    environment = {"P2ASSIST_STANDIN_LOG": str(journal)}
    with vscode.code_server(profile, environment, *arguments) as address:
        yield Stage(profile, address, page, journal, program)


@pytest.fixture(scope="module")
def page() -> Iterator[Callable[[], Any]]:
    with vscode.chromium() as new_page:
        yield new_page


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, page: Callable[[], Any]) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("vscode")
    with staged(home, page, "--disable-workspace-trust") as running:
        yield running


@pytest.fixture
def open_shop(
    tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[Stage], Window]]:
    """Opens a window on a new project; keeps a picture of it where the test failed."""
    windows: list[Window] = []

    def opened(stage: Stage) -> Window:
        project = tmp_path / "shop"
        project.mkdir()
        (project / "shop.py").write_text("# a shop\n\n")
        stage.journal.unlink(missing_ok=True)
        window = Window(stage.page(), stage.address, project, "shop.py")
        windows.append(window)
        window.until_bar("pocket")
        return window

    failed = request.session.testsfailed
    yield opened
    for window in windows:
        if request.session.testsfailed > failed:
            window.shot(f"failed-{request.node.name}")
        window.page.close()


@pytest.fixture
def window(stage: Stage, open_shop: Callable[[Stage], Window]) -> Window:
    return open_shop(stage)


def test_ghost_text_then_its_evidence_beside_it(stage: Stage, window: Window) -> None:
    window.type("def add")
    window.until_ghost(SUM)
    window.until_bar("7/7 covering tests")
    assert window.ghost() == SUM  # what is shown did not change when the tests spoke
    window.shot("ghost")
    window.press("Tab")
    [told] = [stage.until_told("accepted")]
    assert told["uri"].endswith("/shop.py")
    window.until_bar("7/7 covering tests")  # of what was accepted
    assert window.saved() == f"# a shop\n\ndef add{SUM}"


def test_the_list_of_candidates_follows_the_tests_and_inserts(stage: Stage, window: Window) -> None:
    window.type("def add")
    window.until_ghost(SUM)
    window.press("Alt+]")
    window.until_ghost(DIFFERENCE)
    window.until_bar("fails test_add and 1 more")
    window.shot("cycled")
    window.press("Control+k", "a")
    wait(lambda: len(window.list()) == 3, "three candidates")
    wait(lambda: "7/7 covering tests" in window.list()[0], "the best first")
    assert any("fails test_add" in row for row in window.list()[1:])
    window.shot("candidates")
    window.press("Enter")
    stage.until_told("accepted")
    assert window.saved() == f"# a shop\n\ndef add{SUM}"


def test_cycling_goes_round(stage: Stage, window: Window) -> None:
    window.type("def add")
    window.until_ghost(SUM)
    for text in (DIFFERENCE, ANY_ORDER, SUM):
        window.press("Alt+]")
        window.until_ghost(text)
    window.press("Alt+[")
    window.until_ghost(ANY_ORDER)
    window.until_bar("fails test_order")
    window.press("Tab")
    all_three = next(ask["ids"] for ask in stage.told("ask") if len(ask["ids"]) == 3)
    assert stage.until_told("accepted")["id"] == all_three[2]
    assert window.saved() == f"# a shop\n\ndef add{ANY_ORDER}"


def test_words_and_lines_are_told_by_their_length(stage: Stage, window: Window) -> None:
    window.type("def smile")
    window.until_ghost('(): return "😀 ünï" + ok()')
    window.press("Control+ArrowRight")
    first = stage.until_told("partiallyAccepted")
    length = len(window.saved().removeprefix("# a shop\n\ndef smile"))
    assert first["acceptedLength"] == length > 0
    window.press("Control+ArrowRight")
    second = stage.until_told("partiallyAccepted", 2)
    assert second["id"] == first["id"]
    assert second["acceptedLength"] == len(window.saved().removeprefix("# a shop\n\ndef smile"))
    window.press("Control+Alt+Enter")  # the rest: an accept
    assert stage.until_told("accepted")["id"] == first["id"]
    assert window.saved() == '# a shop\n\ndef smile(): return "😀 ünï" + ok()'
    assert len(stage.told("partiallyAccepted")) == 2
    assert not stage.told("rejected")


def test_escape_rejects_once(stage: Stage, window: Window) -> None:
    window.type("def add")
    window.until_ghost(SUM)
    window.press("Escape")
    window.until_ghost("")
    told = stage.until_told("rejected")
    assert re.fullmatch(r"\d+\.1", told["id"])
    assert window.saved() == "# a shop\n\ndef add"
    assert not stage.told("accepted")
    assert len(stage.told("rejected")) == 1


def test_never_again_pause_and_resume(stage: Stage, window: Window) -> None:
    window.type("def add")
    window.until_ghost(SUM)
    window.command("p2assist: Never Suggest This")
    stage.until_told("never")
    window.press("Backspace")
    window.type("d")
    window.until_ghost(DIFFERENCE)
    window.command("p2assist: Pause")
    window.until_bar("paused")
    stage.until_told("pause")
    window.command("p2assist: Resume")
    stage.until_told("resume")
    wait(lambda: "paused" not in window.bar(), "resumed")


def test_why_is_explained_beside_the_code(stage: Stage, window: Window) -> None:
    window.type("def add")
    window.until_ghost(SUM)
    window.until_bar("7/7 covering tests")
    window.press("Control+k", "y")
    told = stage.until_told("why")
    assert told["position"] == {"line": 2, "character": len("def add")}
    window.page.wait_for_selector(".tab[aria-label*='Why this completion']")
    window.page.wait_for_timeout(1500)
    window.shot("why")


def test_the_adapter_is_swapped_while_typing(stage: Stage, window: Window) -> None:
    window.type("def add")
    window.until_ghost(SUM)
    window.command("p2assist: Reload the Adapter")
    stage.until_told("reload")
    window.until_bar("pocket + adapter-2")


def test_a_killed_server_comes_back(stage: Stage, window: Window) -> None:
    first = stage.until_told("initialize")["process"]
    os.kill(first, signal.SIGKILL)
    second = stage.until_told("initialize", 2)["process"]
    assert second != first
    window.until_bar("pocket")
    wait(lambda: "starting" not in window.bar(), "ready again")
    window.type("def add")
    window.until_ghost(SUM)
    window.press("Tab")
    stage.until_told("accepted")
    assert window.saved() == f"# a shop\n\ndef add{SUM}"


def test_settings_reach_the_server_while_it_runs(stage: Stage, window: Window) -> None:
    stage.profile.set({"p2assist.path": str(stage.program), "p2assist.beams": 4})
    try:
        assert wait(lambda: stage.told("configure"), "configure")[-1]["options"]["beams"] == 4
    finally:
        stage.profile.set({"p2assist.path": str(stage.program)})


def test_nothing_runs_in_a_folder_that_is_not_trusted(
    tmp_path: Path, page: Callable[[], Any], open_shop: Callable[[Stage], Window]
) -> None:
    with staged(tmp_path, page) as stage:
        window = open_shop(stage)
        assert stage.until_told("initialize")["options"]["trusted"] is False
        window.until_bar("not trusted")
        window.type("def add")
        window.until_ghost(SUM)  # untested, and said so
        window.until_bar("untested")
        window.shot("untrusted")
        window.page.close()


def test_a_remote_machine_has_its_own_settings_and_its_own_paths(
    tmp_path: Path, page: Callable[[], Any], open_shop: Callable[[Stage], Window]
) -> None:
    """As in a dev container: the settings of examples/editors/devcontainer.json, on the machine
    that has the files. Its folder is open by a vscode-remote address; the server sees files."""
    example = json.loads((ROOT / "examples/editors/devcontainer.json").read_text())
    assert list(example["customizations"]["vscode"]["settings"]) == ["p2assist.path"]
    with staged(tmp_path, page, "--disable-workspace-trust", settings="Machine") as stage:
        window = open_shop(stage)
        window.type("def add")
        window.until_ghost(SUM)
        window.press("Tab")
        assert stage.until_told("accepted")["uri"] == window.file.as_uri()
        window.page.close()
