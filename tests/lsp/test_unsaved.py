"""Other open documents that are not saved reach the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from p2assist_lsp.editor import Editor
from p2assist_lsp.services import Progress, Say, Wanted
from p2assist_lsp.session import Asked
from p2assist_lsp.settings import Debounce, Read, Settings
from p2assist_lsp.testing import Scripted
from p2assist_lsp.text import Document
from p2assist_lsp.unsaved import unsaved

from p2assist.experience import Task, TestReport
from p2assist.generation.request import Document as Opened
from p2assist.harness.demand import WHOLE, Demand
from p2assist.harness.tester import FakeTester


def test_only_what_differs_from_its_file_is_unsaved(tmp_path: Path) -> None:
    (tmp_path / "same.py").write_bytes(b"x = 1\r\ny = 2\r\n")
    (tmp_path / "other.py").write_text("x = 1\n")
    (tmp_path / "cells.ipynb").write_text("{}")
    documents = [
        Opened("same.py", "x = 1\ny = 2\n"),
        Opened("other.py", "x = 2\n"),
        Opened("new.py", "z = 3\n"),
        Opened("cells.ipynb", "x = 2\n"),
        Opened("closed.py"),
    ]
    assert unsaved(tmp_path, documents) == {"other.py": "x = 2\n", "new.py": "z = 3\n"}


class Deaf:
    """A client that is told, and says nothing."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Mapping[str, Any]]] = []

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        self.told.append((method, params))

    def show(self, words: str) -> None: ...

    def log(self, words: str) -> None: ...

    def progress(self, token: str, words: str, share: float | None) -> None: ...


class Listening(FakeTester):
    """Remembers with which other buffers it was asked."""

    def __init__(self) -> None:
        super().__init__(lambda task, text, node_id: True)
        self.heard: list[Mapping[str, str]] = []

    def test(self, task: Task, text: str, demand: Demand = WHOLE) -> TestReport:
        self.heard.append(demand.unsaved)
        return super().test(task, text, demand)


def test_the_tests_get_every_edited_buffer_of_the_folder(tmp_path: Path) -> None:
    tester = Listening()

    class Services(Scripted):
        def index(self, progress: Progress) -> tuple[FakeTester, int]:
            return tester, 1

    def opening(wanted: Wanted, say: Say) -> Services:
        return Services(wanted, {"answers": {"x =": ["1"]}, "tests": ["t.py::test"]})

    def opened(editor: Editor, name: str, text: str) -> Document:
        document = Document((tmp_path / name).as_uri(), text)
        editor.opened(document)
        return document

    async def main() -> None:
        client = Deaf()
        editor = Editor(client, opening)
        none = Debounce(least=0, most=0)
        editor.configure(Read(Settings(trusted=True, debounce=none, feedback=False)))
        (tmp_path / "a.py").write_text("x = 1\n")
        (tmp_path / "b.py").write_text("y = 1\n")
        (tmp_path / "c.py").write_text("z = 1\n")
        editor.open_folders([tmp_path])
        a = opened(editor, "a.py", "x =")
        b = opened(editor, "b.py", "y = 1\n")
        opened(editor, "c.py", "z = 1\n")
        while editor.status()["state"] != "ready":
            await asyncio.sleep(0.01)
        for text in ("y = 2\n", "y = 3\n"):
            before = b.source
            editor.edited(b.uri, [(b.replace(text), before)])
            before = a.source
            editor.edited(a.uri, [(a.replace("x ="), before)])
            heard = len(tester.heard)
            assert await editor.complete(a.uri, Asked(3, invoked=True))
            while len(tester.heard) == heard:  # another buffer: what was known is tested again
                await asyncio.sleep(0.01)
        editor.close()

    asyncio.run(asyncio.wait_for(main(), 30))
    assert tester.heard == [{"b.py": "y = 2\n"}, {"b.py": "y = 3\n"}]
