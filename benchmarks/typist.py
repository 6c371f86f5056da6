"""A person at the keyboard, as a language server meets one.

The session is made once and for all by a seed: lines of toolz's functions are taken away and typed
again, key by key, at the gaps of `benchmarks.keystrokes`; after some keys the typist stops and
looks at what is shown until its evidence is there. What is shown and is the very rest of the line
is accepted.
"""

from __future__ import annotations

import ast
import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.client import LanguageClient

FILES = ("toolz/itertoolz.py", "toolz/functoolz.py", "toolz/dicttoolz.py")
LOOK_SHARE = 0.15  # of the keys
LOOK_SECONDS = 3.0  # that the typist waits for evidence, at most
PATIENCE = 180.0  # seconds for what has to come
_EVIDENCE, _STATUS = "p2assist/evidence", "p2assist/status"


@dataclass(frozen=True, slots=True)
class Key:
    """One character, after a gap in seconds. looks: whether the typist stops after it."""

    character: str
    gap: float
    looks: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A line to be typed into a text of which it has been taken away, from an offset on."""

    path: str
    text: str
    offset: int
    keys: tuple[Key, ...]


def session(root: Path, lines: int, *, files: Sequence[str] = FILES, seed: int = 0) -> list[Line]:
    """Lines within the functions of the files, the same for the same seed."""
    draw = random.Random(seed)
    places = [(path, row) for path in files for row in _statements(root / path)]
    found = []
    for path, row in draw.sample(places, min(lines, len(places))):
        rows = (root / path).read_text("utf-8").split("\n")
        typed = rows[row].strip()
        indent = rows[row][: len(rows[row]) - len(rows[row].lstrip())]
        above = "\n".join(rows[:row]) + "\n" + indent
        text = above + "\n" + "\n".join(rows[row + 1 :])
        keys = tuple(
            Key(one, draw.lognormvariate(-1.83, 0.5), draw.random() < LOOK_SHARE) for one in typed
        )
        found.append(Line(path, text, len(above), keys))
    return found


def _statements(file: Path) -> list[int]:
    """The rows (from 0) of the simple statements of one line within functions."""
    tree = ast.parse(file.read_text("utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    rows = {
        one.lineno - 1
        for function in functions
        for one in ast.walk(function)
        if isinstance(
            one, ast.Return | ast.Assign | ast.AugAssign | ast.Delete | ast.Expr | ast.Raise
        )
        and one.lineno == one.end_lineno
        and not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
    }
    return sorted(rows)


@dataclass(slots=True)
class Seen:
    """What the typist saw. ghosts: milliseconds from each key to its ghost text. evidence: from a
    key that was looked at to the evidence of what was shown. looked: how many were shown to a
    typist who looked; keys: that were pressed."""

    ghosts: list[float] = field(default_factory=list)
    evidence: list[float] = field(default_factory=list)
    keys: int = 0
    looked: int = 0
    accepted: int = 0


class Typist(LanguageClient):
    """Speaks to a language server that it starts itself. Use close() at the end."""

    def __init__(self, root: Path) -> None:
        super().__init__("p2assist's benchmark", "1")
        self.seen = Seen()
        self._root = root
        self._version = 0
        self._states: list[str] = []
        self._tested: dict[str, tuple[str, float]] = {}  # of a candidate: its state, since when
        self._news = asyncio.Event()
        self.feature(_STATUS)(lambda params: self._status(params))
        self.feature(_EVIDENCE)(lambda params: self._evidence(params))
        for quiet in ("window/logMessage", "window/showMessage", "$/progress"):
            self.feature(quiet)(lambda params: None)

    async def begin(self, command: list[str], env: dict[str, str], **settings: Any) -> None:
        """Starts the server and greets it."""
        await self.start_io(*command, env=env)
        text = types.TextDocumentClientCapabilities(
            inline_completion=types.InlineCompletionClientCapabilities()
        )
        await self.initialize_async(
            types.InitializeParams(
                capabilities=types.ClientCapabilities(text_document=text),
                workspace_folders=[types.WorkspaceFolder(self._root.as_uri(), "toolz")],
                initialization_options={"trusted": True} | settings,
            )
        )
        self.initialized(types.InitializedParams())

    async def until(self, state: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while self._states[-1:] != [state]:
                await self._more()

    async def first(self, line: Line) -> None:
        """Returns when anything is offered there, typing nothing and asking again and again."""
        uri = self._open(line)
        async with asyncio.timeout(PATIENCE):
            while not await self._ask(uri, line.text, line.offset):
                await asyncio.sleep(0.02)
        self._close(uri)

    async def type(self, line: Line, *, looks: bool = True) -> None:
        """Types the line, and goes on where the ghost text is taken."""
        uri = self._open(line)
        text, at = line.text, line.offset
        rest = "".join(key.character for key in line.keys)
        asked: set[asyncio.Task[None]] = set()
        for number, key in enumerate(line.keys):
            self.seen.keys += 1
            text, at = text[:at] + key.character + text[at:], at + 1
            pressed = time.perf_counter()
            self._edit(uri, text, at - 1, key.character)
            shown: list[types.InlineCompletionItem] = []
            asking = asyncio.create_task(self._key(uri, text, at, pressed, shown))
            asked.add(asking)
            if looks and key.looks and not await self._looks(asking, pressed, shown):
                continue
            if shown and shown[0].insert_text == rest[number + 1 :]:
                self.seen.accepted += 1
                await self._accept(uri, text, at, shown[0])
                break
            gap = pressed + key.gap - time.perf_counter()
            await asyncio.sleep(max(gap, 0.0))
        await asyncio.gather(*asked)
        self._close(uri)

    async def close(self) -> None:
        await self.shutdown_async(None)
        self.exit(None)
        await self.stop()

    @property
    def pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    async def _key(
        self,
        uri: str,
        text: str,
        at: int,
        pressed: float,
        shown: list[types.InlineCompletionItem],
    ) -> None:
        items = await self._ask(uri, text, at)
        if items:
            self.seen.ghosts.append(1000 * (time.perf_counter() - pressed))
            shown += items

    async def _looks(
        self,
        asking: asyncio.Task[None],
        pressed: float,
        shown: list[types.InlineCompletionItem],
    ) -> bool:
        """Whether there was something to look at."""
        await asking
        if not shown:
            return False
        self.seen.looked += 1
        command = shown[0].command
        assert command is not None and command.arguments
        name = command.arguments[0]["id"]
        until = pressed + LOOK_SECONDS
        while (left := until - time.perf_counter()) > 0:
            state, since = self._tested.get(name, ("", 0.0))
            if state == "tested":
                self.seen.evidence.append(1000 * (max(since, pressed) - pressed))
            if state in ("tested", "untested", "refused"):
                break
            try:
                async with asyncio.timeout(left):
                    await self._more()
            except TimeoutError:
                break
        return True

    async def _ask(self, uri: str, text: str, at: int) -> list[types.InlineCompletionItem]:
        context = types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic)
        answer = await self.text_document_inline_completion_async(
            types.InlineCompletionParams(
                context, types.TextDocumentIdentifier(uri), _position(text, at)
            )
        )
        return list(answer.items) if isinstance(answer, types.InlineCompletionList) else []

    async def _accept(self, uri: str, text: str, at: int, item: types.InlineCompletionItem) -> None:
        self._edit(uri, text, at, str(item.insert_text))
        assert item.command is not None
        await self.workspace_execute_command_async(
            types.ExecuteCommandParams(item.command.command, item.command.arguments)
        )

    def _open(self, line: Line) -> str:
        uri = (self._root / line.path).as_uri()
        self._version = 1
        item = types.TextDocumentItem(uri, "python", 1, line.text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return uri

    def _edit(self, uri: str, text: str, at: int, inserted: str) -> None:
        self._version += 1
        there = _position(text, at)
        change = types.TextDocumentContentChangePartial(types.Range(there, there), inserted)
        document = types.VersionedTextDocumentIdentifier(self._version, uri)
        self.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def _close(self, uri: str) -> None:
        document = types.TextDocumentIdentifier(uri)
        self.text_document_did_close(types.DidCloseTextDocumentParams(document))

    def _status(self, params: Any) -> None:
        self._states.append(params.state)
        self._news.set()

    def _evidence(self, params: Any) -> None:
        now = time.perf_counter()
        for one in params.candidates:
            if self._tested.get(one.id, ("",))[0] != one.state:
                self._tested[one.id] = (one.state, now)
        self._news.set()

    async def _more(self) -> None:
        self._news.clear()
        await self._news.wait()


def _position(text: str, at: int) -> types.Position:
    """toolz is ASCII: a character is one unit of UTF-16."""
    return types.Position(text.count("\n", 0, at), at - text.rfind("\n", 0, at) - 1)
