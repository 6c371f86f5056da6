"""A copy of examples/quickstart to work on: under git, with a model process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from p2assist.config import load
from p2assist.experience import Task
from p2assist.replay.store import Store

ROOT = Path(__file__).resolve().parents[2]
P2ASSIST = Path(sys.executable).parent / "p2assist"


@dataclass(frozen=True)
class Quickstart:
    """root: of the copy. environment: what the editor needs so that nothing of the user's is
    touched."""

    root: Path
    environment: dict[str, str]

    def kept(self) -> list[tuple[str, str]]:
        """The candidates' texts with what was done with them, from the store."""
        with Store.open(load(self.root).store_url) as store:
            return sorted(
                (experience.candidate.text, feedback.kind.value)
                for experience in store.experiences()
                for feedback in experience.feedback
            )

    def tasks(self, text: str) -> list[Task]:
        """Where a candidate with such a text was offered, from the store."""
        with Store.open(load(self.root).store_url) as store:
            return [one.task for one in store.experiences() if one.candidate.text == text]

    @property
    def command(self) -> list[str]:
        return [str(P2ASSIST), "lsp"]


@contextmanager
def quickstart(folder: Path) -> Iterator[Quickstart]:
    """A copy below the folder; its model process ends with the context."""
    root = folder / "quickstart"
    leave = shutil.ignore_patterns("__pycache__", ".p2assist", ".pytest_cache")
    shutil.copytree(ROOT / "examples/quickstart", root, ignore=leave)
    who = ["-c", "user.name=A Developer", "-c", "user.email=dev@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "The shop's basket"]):
        subprocess.run(["git", "-C", str(root), *who, *words], check=True)
    with tempfile.TemporaryDirectory(prefix="p2-") as runtime:  # a socket's path must be short
        environment = {"P2ASSIST_RUNTIME": runtime}
        try:
            yield Quickstart(root, environment)
        finally:
            stop = [str(P2ASSIST), "serve", "--stop"]
            subprocess.run(stop, env=environment, capture_output=True, check=False)
