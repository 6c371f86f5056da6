"""The server with a scripted model, and a client that speaks to it through pipes."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from p2assist_lsp.server import Server
from p2assist_lsp.testing import scripted
from pygls.io_ import run_async
from pygls.lsp.client import LanguageClient

from p2assist.replay.store import Store

SECONDS = 20.0
ADD = "def add(a, b):\n    return \n\n\nprint(add(1, 2))\n"
ANSWERS = {"return": ["a + b", "a - b", "a"], "x =": ["1"]}
TESTS = ["t.py::test_sum", "t.py::test_more"]
SCRIPT: dict[str, Any] = {
    "answers": ANSWERS,
    "tests": TESTS,
    "failing": {"a - b": ["t.py::test_sum"]},
}


def texts(items: list[types.InlineCompletionItem]) -> list[str]:
    return [str(item.insert_text) for item in items]


class Client(LanguageClient):
    """A client that remembers what it is told."""

    def __init__(self, root: Path) -> None:
        super().__init__("test", "1")
        self.root = root
        self.told: dict[str, list[Any]] = {}
        self.versions: dict[str, int] = {}
        self._news = asyncio.Event()
        for method in ("p2assist/status", "p2assist/evidence", "window/showMessage"):
            self.feature(method)(lambda params, method=method: self._hear(method, params))
        self.feature("window/logMessage")(lambda params: None)
        self.feature("$/progress")(lambda params: self._hear("$/progress", params))
        self.feature("window/workDoneProgress/create")(lambda params: None)
        self.feature("workspace/configuration")(lambda params: [self.configuration])
        self.configuration: Any = None

    def _hear(self, method: str, params: Any) -> None:
        self.told.setdefault(method, []).append(params)
        self._news.set()

    async def hears(self, method: str, true: Callable[[Any], object]) -> Any:
        """The first of its messages, before or after now, of which it is true."""
        async with asyncio.timeout(SECONDS):
            while True:
                self._news.clear()
                for params in self.told.get(method, ()):
                    if true(params):
                        return params
                await self._news.wait()

    def uri(self, name: str) -> str:
        return (self.root / name).as_uri()

    def open(self, name: str, text: str, language: str = "python") -> str:
        uri = self.uri(name)
        self.versions[uri] = 1
        item = types.TextDocumentItem(uri, language, 1, text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return uri

    def type(
        self, uri: str, line: int, character: int, text: str, *, end: tuple[int, int] | None = None
    ) -> None:
        """Puts text at a position, or between it and end."""
        self.versions[uri] += 1
        start = types.Position(line, character)
        last = types.Position(*end) if end else start
        change = types.TextDocumentContentChangePartial(types.Range(start, last), text)
        document = types.VersionedTextDocumentIdentifier(self.versions[uri], uri)
        self.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    async def inline(
        self, uri: str, line: int, character: int, *, invoked: bool = False, selected: Any = None
    ) -> list[types.InlineCompletionItem]:
        kinds = types.InlineCompletionTriggerKind
        context = types.InlineCompletionContext(
            kinds.Invoked if invoked else kinds.Automatic, selected
        )
        answer = await self.text_document_inline_completion_async(
            types.InlineCompletionParams(
                context, types.TextDocumentIdentifier(uri), types.Position(line, character)
            )
        )
        assert isinstance(answer, types.InlineCompletionList)
        return list(answer.items)

    async def run(self, command: str, *arguments: Any) -> Any:
        return await self.workspace_execute_command_async(
            types.ExecuteCommandParams(command, list(arguments))
        )

    async def accept(self, item: types.InlineCompletionItem, uri: str) -> None:
        """What VS Code does with Tab: the edit, then the item's command."""
        assert item.range is not None
        assert item.command is not None
        start, end = item.range.start, item.range.end
        text = str(item.insert_text)
        self.type(uri, start.line, start.character, text, end=(end.line, end.character))
        await self.run(item.command.command, *(item.command.arguments or ()))


async def connect(client: Client, server: Server) -> threading.Thread:
    """Runs the server in a thread, at the other ends of two pipes."""
    from_client, to_server = os.pipe()
    from_server, to_client = os.pipe()

    def serve() -> None:
        stdin, stdout = os.fdopen(from_client, "rb"), os.fdopen(to_client, "wb")
        with stdin, stdout, suppress(SystemExit):  # what `exit` asks for
            server.start_io(stdin, stdout)

    thread = threading.Thread(target=serve)
    thread.start()
    reader = asyncio.StreamReader(limit=1 << 26)
    make = asyncio.StreamReaderProtocol(reader)
    pipe = os.fdopen(from_server, "rb")
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: make, pipe)
    writer, _ = await asyncio.get_running_loop().connect_write_pipe(
        asyncio.BaseProtocol, os.fdopen(to_server, "wb")
    )  # never waits: two sides that both write to a full pipe would wait for each other
    client.protocol.set_writer(writer)

    async def read() -> None:
        await run_async(threading.Event(), reader, client.protocol)
        transport.close()
        writer.close()

    client.reading = asyncio.create_task(read())  # type: ignore[attr-defined]
    return thread


Serve = Callable[..., Any]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'replay.db'}") as opened:
        yield opened


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """serve(script, **settings): an async context with a Client whose server is ready."""

    @asynccontextmanager
    async def served(
        script: dict[str, Any] | None = None,
        *,
        inline: bool = True,
        encodings: list[str] | None = None,
        until: str = "",
        folders: list[Path] | None = None,
        **settings: Any,
    ) -> AsyncIterator[Client]:
        store = f"sqlite:///{tmp_path / 'replay.db'}"
        server = scripted({"store": store} | (script or {}))
        root = tmp_path / "shop"
        root.mkdir(exist_ok=True)
        client = Client(root)
        thread = await connect(client, server)
        text = types.TextDocumentClientCapabilities(
            inline_completion=types.InlineCompletionClientCapabilities() if inline else None
        )
        window = types.WindowClientCapabilities(work_done_progress=True)
        general = types.GeneralClientCapabilities(
            position_encodings=[types.PositionEncodingKind(one) for one in encodings or ["utf-16"]]
        )
        roots = [root] if folders is None else folders
        quick = {"trusted": True, "debounce": {"least": 0, "most": 0}}
        hello = client.initialize_async(
            types.InitializeParams(
                capabilities=types.ClientCapabilities(
                    text_document=text,
                    window=window,
                    notebook_document=types.NotebookDocumentClientCapabilities(
                        types.NotebookDocumentSyncClientCapabilities()
                    ),
                    general=general,
                    workspace=types.WorkspaceClientCapabilities(configuration=True),
                ),
                workspace_folders=[types.WorkspaceFolder(r.as_uri(), r.name) for r in roots],
                initialization_options=quick | settings,
            )
        )
        answer = await asyncio.wait_for(hello, SECONDS)
        client.capabilities = answer.capabilities  # type: ignore[attr-defined]
        client.initialized(types.InitializedParams())
        ready = until or ("ready" if (quick | settings)["trusted"] else "untrusted")
        if roots:
            await client.hears("p2assist/status", lambda status: status.state == ready)
        try:
            yield client
        finally:
            async with asyncio.timeout(SECONDS):
                await client.shutdown_async(None)
                client.exit(None)
                await asyncio.to_thread(thread.join)
                await client.reading  # type: ignore[attr-defined]

    return served
