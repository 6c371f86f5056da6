"""pygls and the editor wired together. Nothing but the protocol is ever written to stdout."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import platformdirs
from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from p2assist import __version__
from p2assist_lsp import commands, items, settings, words
from p2assist_lsp.editor import Editor
from p2assist_lsp.notebooks import Notebooks
from p2assist_lsp.protocol import Protocol, plain
from p2assist_lsp.services import Open, Repository
from p2assist_lsp.session import Asked
from p2assist_lsp.talk import Talk
from p2assist_lsp.text import Document, Edit, Encoding

PYTHON = frozenset({"python"})
# Seconds: an answer changes threads four times, and each waits so long for one that computes.
_SWITCH = 0.0005
_CELLS = types.NotebookDocumentSyncOptions(
    [
        types.NotebookDocumentFilterWithNotebook(  # lsprotocol cannot read the one without
            notebook="*", cells=[types.NotebookCellLanguage(language="python")]
        )
    ]
)
_log = logging.getLogger(__name__)


class Server(LanguageServer):
    """The server. opening: opens a folder's repository; pace: see Editor."""

    def __init__(self, opening: Open = Repository, *, pace: float = 1.0) -> None:
        super().__init__(
            "p2assist", __version__, protocol_cls=Protocol, notebook_document_sync=_CELLS
        )
        self._opening, self._pace = opening, pace
        self._editor: Editor | None = None
        self.notebooks = Notebooks()
        _features(self)

    @property
    def editor(self) -> Editor:
        """Made by the first message: it belongs to the event loop."""
        if self._editor is None:
            self._editor = Editor(Talk(self), self._opening, pace=self._pace)
            with suppress(ValueError, RuntimeError, NotImplementedError):  # not in every thread
                loop = asyncio.get_running_loop()
                loop.add_signal_handler(signal.SIGTERM, self._terminated)
        return self._editor

    def leave(self) -> None:
        """Keeps what is not kept yet: for a client that goes without a word, too."""
        if self._editor is not None:
            self._editor.close()

    def _terminated(self) -> None:
        """An ordinary end would wait for standard input to end."""
        self.leave()
        logging.shutdown()
        os._exit(0)

    @property
    def greeting(self) -> types.InitializeParams:
        """What the client said first."""
        assert isinstance(self.protocol, Protocol)
        return self.protocol.initialize_params

    @property
    def encoding(self) -> Encoding:
        chosen = self.workspace.position_encoding
        return "utf-8" if chosen == "utf-8" else "utf-32" if chosen == "utf-32" else "utf-16"

    def report_server_error(self, error: Exception, source: Any) -> None:
        """A message that cannot be handled is logged; it is no reason to disturb anybody."""
        _log.warning("%s", error)


def _features(server: Server) -> None:
    """Registers every handler."""
    for name, command in commands.COMMANDS.items():
        server.command(name)(_command(server, command))

    @server.feature(types.INITIALIZED)
    def initialized(params: types.InitializedParams) -> None:
        given = server.greeting
        editor = server.editor
        editor.configure(settings.read(plain(given.initialization_options)))
        uris = [one.uri for one in given.workspace_folders or ()]
        if not uris and given.root_uri:
            uris = [given.root_uri]
        editor.open_folders(_paths(uris))
        editor.tell_status()

    @server.feature(types.SHUTDOWN)
    def shutdown(params: None) -> None:
        server.leave()

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def configured(params: types.DidChangeConfigurationParams) -> None:
        given = plain(params.settings)
        if isinstance(given, Mapping) and "p2assist" in given:
            given = given["p2assist"]
        workspace = server.client_capabilities.workspace
        if not given and workspace and workspace.configuration:
            item = types.ConfigurationItem(section="p2assist")
            answer = await server.workspace_configuration_async(types.ConfigurationParams([item]))
            given = plain(answer[0]) if answer else None
        if given:  # nothing (eglot sends it after each start) changes nothing
            server.editor.configure(settings.read(given))
            server.editor.tell_status()

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def folders(params: types.DidChangeWorkspaceFoldersParams) -> None:
        added = _paths([one.uri for one in params.event.added])
        removed = _paths([one.uri for one in params.event.removed])
        server.editor.open_folders(added, removed)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        item = params.text_document
        if item.language_id in PYTHON:
            _open(server, item.uri, item.text, item.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: types.DidChangeTextDocumentParams) -> None:
        uri, version = params.text_document.uri, params.text_document.version
        _change(server, uri, version, params.content_changes)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        server.editor.saved(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        server.editor.closed(params.text_document.uri)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def notebook_opened(params: types.DidOpenNotebookDocumentParams) -> None:
        server.notebooks.opened(params)
        for cell in params.cell_text_documents:
            if cell.language_id in PYTHON:
                _open(server, cell.uri, cell.text, cell.version)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def notebook_changed(params: types.DidChangeNotebookDocumentParams) -> None:
        server.notebooks.changed(params)
        cells = params.change.cells
        structure = cells.structure if cells else None
        for item in (structure.did_open if structure else None) or ():
            if item.language_id in PYTHON:
                _open(server, item.uri, item.text, item.version)
        for gone in (structure.did_close if structure else None) or ():
            server.editor.closed(gone.uri)
        for content in (cells.text_content if cells else None) or ():
            _change(server, content.document.uri, content.document.version, content.changes)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def notebook_closed(params: types.DidCloseNotebookDocumentParams) -> None:
        server.notebooks.closed(params.notebook_document.uri)
        for cell in params.cell_text_documents:
            server.editor.closed(cell.uri)

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline(params: types.InlineCompletionParams) -> types.InlineCompletionList:
        invoked = params.context.trigger_kind is types.InlineCompletionTriggerKind.Invoked
        uri, selected = params.text_document.uri, params.context.selected_completion_info
        document = _document(server, uri)
        if document is None:
            return types.InlineCompletionList([])
        asked = Asked(_offset(document, params.position), invoked=invoked)
        if selected:
            start = _offset(document, selected.range.start)
            asked = Asked(asked.offset, invoked=invoked, head=selected.text, start=start)
        found = await server.editor.complete(uri, asked)
        return types.InlineCompletionList([items.inline(document, asked, c, uri) for _, c in found])

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(resolve_provider=True))
    async def completion(params: types.CompletionParams) -> types.CompletionList:
        """For clients without inline completion; for the others it would say everything twice."""
        text = server.client_capabilities.text_document
        document = _document(server, params.text_document.uri)
        if document is None or (text and text.inline_completion):
            return types.CompletionList(False, [])
        asked = Asked(_offset(document, params.position), every=True)
        found = await server.editor.complete(params.text_document.uri, asked)
        listed = [items.plain_item(document, asked, c, n) for n, (_, c) in enumerate(found)]
        return types.CompletionList(True, listed)

    @server.feature(types.COMPLETION_ITEM_RESOLVE)
    def resolve(item: types.CompletionItem) -> types.CompletionItem:
        data = plain(item.data)
        found = server.editor.find(str(data.get("id"))) if isinstance(data, Mapping) else None
        if found:
            item.documentation = items.markdown(words.evidence(found[2]))
            item.detail = found[2].evidence
        return item

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hover(params: types.HoverParams) -> types.Hover | None:
        session = server.editor.sessions.get(params.text_document.uri)
        there = session.lines.get(params.position.line + 1) if session else None
        return types.Hover(items.markdown(words.evidence(there[1]))) if there else None

    @server.feature("textDocument/didShowCompletion")
    async def did_show(params: Any) -> None:
        await commands.shown(server.editor, _of_item(params))

    @server.feature("textDocument/didPartiallyAcceptCompletion")
    async def did_partially_accept(params: Any) -> None:
        await commands.partially_accepted(server.editor, _of_item(params))


def _command(server: Server, command: Any) -> Any:
    async def run(*arguments: Any) -> Any:
        return await command(server.editor, [plain(argument) for argument in arguments])

    return run


def _open(server: Server, uri: str, text: str, version: int) -> None:
    document = Document(uri, text, version=version, encoding=server.encoding)
    session = server.editor.opened(document)
    session.prefix = partial(server.notebooks.above, uri, server.editor.sessions)


def _change(server: Server, uri: str, version: int, changes: Any) -> None:
    document = _document(server, uri)
    if document is None:
        return
    edits: list[tuple[Edit, str]] = []
    for change in changes:
        before = document.source
        if isinstance(change, types.TextDocumentContentChangeWholeDocument):
            edits.append((document.replace(change.text), before))
            continue
        start, end = change.range.start, change.range.end
        where = (start.line, start.character), (end.line, end.character)
        edits.append((document.edit(*where, change.text), before))
    document.version = version
    server.editor.edited(uri, edits)


def _document(server: Server, uri: str) -> Document | None:
    session = server.editor.sessions.get(uri)
    return session.document if session else None


def _offset(document: Document, position: types.Position) -> int:
    return document.offset(position.line, position.character)


def _of_item(params: Any) -> list[Any]:
    """The arguments of a command for GitHub's {item, acceptedLength}."""
    given = plain(params)
    try:
        found = dict(given["item"]["command"]["arguments"][0])
    except (KeyError, IndexError, TypeError, ValueError):
        return []
    return [found | {"acceptedLength": given.get("acceptedLength")}]


def _paths(uris: list[str]) -> list[Path]:
    paths = (to_fs_path(uri) for uri in uris if uri.startswith("file:"))
    return [Path(path) for path in paths if path]


def main() -> None:
    """The console script."""
    run(Server())


def run(server: Server) -> None:
    """Serves standard input and output until the client says exit."""
    _log_to_file()
    sys.setswitchinterval(_SWITCH)
    stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints by mistake writes to stderr
    sys.stdout = sys.stderr
    try:
        server.start_io(stdout=stdout)
    finally:
        server.leave()


def _log_to_file() -> None:
    """What happens, never what is typed: no source text is logged."""
    folder = Path(os.environ.get("P2ASSIST_RUNTIME") or platformdirs.user_log_path("p2assist"))
    folder.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(
        folder / "lsp.log", maxBytes=1 << 20, backupCount=3, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    for name in ("p2assist", "p2assist_lsp"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    logging.getLogger("pygls").setLevel(logging.CRITICAL)  # it logs whole messages
