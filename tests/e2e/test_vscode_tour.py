"""The whole of it: the real VS Code, the real language server, the embedded model, real pytest
runs; then the store, which holds exactly what happened."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("playwright", reason="make e2e-setup installs it")

import vscode
from vscode import ROOT, VSIX, Profile, Window, wait

pytestmark = [*vscode.NEEDS, pytest.mark.model, pytest.mark.timeout(600)]

PROGRAM = Path(sys.executable).with_name("p2assist")
QUICKSTART = ROOT / "examples/quickstart"


@dataclass
class Project:
    """A copy of the quickstart, and a user's p2assist of its own."""

    folder: Path
    environment: dict[str, str]

    def p2assist(self, *arguments: str) -> str:
        command = [PROGRAM, *arguments]
        run = subprocess.run(
            command, env=os.environ | self.environment, cwd=self.folder, capture_output=True
        )
        assert run.returncode == 0, run.stderr.decode()
        return run.stdout.decode()

    def stored(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.p2assist("replay", "export").splitlines()]

    def feedback(self) -> list[tuple[str, str]]:
        """What became of whatever was offered: (kind, the candidate's text), oldest first."""
        return [
            (given["kind"], one["candidate"]["text"])
            for one in self.stored()
            for given in one["feedback"]
        ]

    def until_stored(self, kind: str) -> str:
        """The text of the first candidate with such feedback, waited for."""
        found = wait(
            lambda: [t for k, t in self.feedback() if k == kind],
            lambda: f"{kind} in the store, there is {self.feedback()}",
        )
        return found[0]

    def servers(self) -> list[psutil.Process]:
        """The language servers of this user that run."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ours = process.environ().get("P2ASSIST_RUNTIME") == self.runtime
                if ours and process.cmdline()[-1] == "lsp":
                    found.append(process)
        return found

    @property
    def runtime(self) -> str:
        return self.environment["P2ASSIST_RUNTIME"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    home = tmp_path_factory.mktemp("tour")
    folder = home / "shop"
    shutil.copytree(QUICKSTART, folder, ignore=shutil.ignore_patterns("__pycache__", ".p2assist"))
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "A shop"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    with tempfile.TemporaryDirectory(prefix="p2-") as runtime:  # a socket's path is short
        environment = {"P2ASSIST_RUNTIME": runtime, "P2ASSIST_CONFIG": str(home / "config.toml")}
        made = Project(folder, environment)
        yield made
        made.p2assist("serve", "--stop")
        for log in Path(runtime).glob("*.log"):
            sys.stdout.write(log.read_text())


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory, project: Project) -> Iterator[Window]:
    profile = Profile(tmp_path_factory.mktemp("vscode"))
    profile.set({"p2assist.path": str(PROGRAM), "p2assist.python": sys.executable})
    profile.install(VSIX)
    with (
        vscode.code_server(profile, project.environment, "--disable-workspace-trust") as address,
        vscode.chromium() as page,
    ):
        made = Window(page(), address, project.folder, "basket/items.py")
        try:
            yield made
        finally:
            made.shot("tour-last")


def write(window: Window, line: int, text: str) -> str:
    """Writes the line anew as far as `text`; returns the ghost text that then goes on.

    On a busy machine an answer can come too late to be shown: the last key is pressed again, then
    it is asked for, which waits longer.
    """
    window.line(line)
    window.press("Home", "Shift+End", "Delete")
    window.type(text)
    for attempt in range(8):
        with contextlib.suppress(AssertionError):
            return wait(window.ghost, "ghost text", patience=8)
        if attempt % 2:
            window.command("p2assist: Suggest Here")
        else:
            window.press("Backspace")
            window.type(text[-1])
    raise AssertionError(f"no ghost text after {text!r}")


def test_it_becomes_ready_by_itself(window: Window, project: Project) -> None:
    window.until_bar("pocket")
    wait(lambda: window.bar() == "pocket", lambda: f"ready, it is {window.bar()!r}", patience=180)
    [server] = project.servers()
    assert server.is_running()


def until_tested(window: Window) -> None:
    """The tests have spoken on what is shown."""
    words = re.compile(r"\d covering tests?|fails test_")
    wait(lambda: words.search(window.bar()), window.bar, patience=60)


def test_ghost_text_then_real_tests_then_tab(window: Window, project: Project) -> None:
    ghost = write(window, 33, "del ")
    until_tested(window)
    assert window.ghost() == ghost, "what is shown did not change when the tests spoke"
    window.shot("tour-ghost")
    window.press("Control+k", "a")
    wait(lambda: len(window.list()) > 1, "the list of candidates")
    window.page.wait_for_timeout(2000)
    window.shot("tour-candidates")
    window.press("Escape")
    wait(window.ghost, "ghost text, asked for again")
    window.press("Control+k", "y")
    window.page.wait_for_selector(".tab[aria-label*='Why this completion']")
    window.page.wait_for_timeout(3000)
    window.shot("tour-why")
    window.focus()
    window.command("p2assist: Suggest Here")
    wait(window.ghost, "ghost text")
    ghost = window.ghost()
    until_tested(window)
    window.press("Tab")
    assert project.until_stored("accepted") == ghost
    rows = (QUICKSTART / "basket/items.py").read_text().split("\n")
    rows[32] = f"            del {ghost}"
    assert window.saved() == "\n".join(rows)
    [accepted] = [
        one
        for one in project.stored()
        if "accepted" in [given["kind"] for given in one["feedback"]]
    ]
    assert accepted["report"]["outcomes"]


def test_escape_rejects_and_it_does_not_come_back(window: Window, project: Project) -> None:
    ghost = write(window, 48, "return ")
    window.press("Escape")
    window.until_ghost("")
    assert project.until_stored("rejected") == ghost
    window.press("Backspace")
    window.type(" ")
    window.page.wait_for_timeout(2000)
    assert window.ghost() != ghost


def test_a_killed_server_comes_back(window: Window, project: Project) -> None:
    [first] = project.servers()
    os.kill(first.pid, signal.SIGKILL)
    wait(lambda: [p for p in project.servers() if p.pid != first.pid], "another server")
    wait(lambda: window.bar().endswith("pocket"), window.bar, patience=180)
    write(window, 33, "del ")
    until_tested(window)


def test_the_adapter_is_swapped_hot(window: Window, project: Project) -> None:
    make = [sys.executable, ROOT / "tests/e2e/adapter.py", project.folder]
    name = subprocess.run(make, check=True, capture_output=True, text=True).stdout
    project.p2assist("adapters", "promote", name)
    [server] = project.servers()
    window.command("p2assist: Reload the Adapter")
    window.until_bar(f"pocket + {name}")
    assert project.servers() == [server]
    write(window, 33, "del ")
    window.press("Tab")
    wait(
        lambda: [one for one in project.stored() if one["candidate"].get("adapter") == name],
        "a candidate of the adapter's in the store",
    )
    window.shot("tour-adapter")


def test_a_word_is_taken_and_the_rest_is_not(window: Window, project: Project) -> None:
    for line, start in ((31, "self.counts[item] "), (48, "return "), (22, "def ")):
        ghost = write(window, line, start)
        if " " in ghost.strip():
            break
    before = window.text(line).rstrip("\n")
    window.press("Control+ArrowRight")
    wait(lambda: len(window.text(line)) > len(before.rstrip()) + 1, "a word")
    part = window.text(line)[len(before) :]
    window.shot("tour-word")
    assert ghost.startswith(part.rstrip())
    assert part.rstrip() != ghost.rstrip()
    window.page.wait_for_timeout(1500)  # what then goes on is offered
    window.press("Escape")
    write(window, 36, "return ")  # the user has gone on
    taken = project.until_stored("partially accepted")
    assert taken.endswith(ghost.rstrip())  # it may have been shown before, and typed through
