"""However a client goes, what was done is in the store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2assist.experience import FeedbackKind
from p2assist.replay.store import Store

from .conftest import ADD, SCRIPT

SECONDS = 60.0


class Server:
    """A server in a process of its own, spoken to by hand: the shortest way to be rude."""

    def __init__(self, folder: Path, script: Path) -> None:
        self.uri = (folder / "a.py").as_uri()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "p2assist_lsp.testing", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"P2ASSIST_RUNTIME": str(folder)},
        )
        capabilities = {"textDocument": {"inlineCompletion": {}}}
        root = [{"uri": folder.as_uri(), "name": "shop"}]
        options = {"trusted": True, "debounce": {"least": 0, "most": 0}}
        self.ask(
            "initialize",
            {
                "processId": None,
                "rootUri": None,
                "capabilities": capabilities,
                "workspaceFolders": root,
                "initializationOptions": options,
            },
        )
        self.say("initialized", {})
        self.until(lambda m: m.get("params", {}).get("state") == "ready")

    def say(self, method: str, params: Any, **more: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params} | more).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def ask(self, method: str, params: Any) -> Any:
        self.say(method, params, id=method)
        return self.until(lambda m: m.get("id") == method)["result"]

    def until(self, true: Any) -> Any:
        out = self.process.stdout
        assert out is not None
        while True:
            size = 0
            while header := out.readline().strip():
                size = int(header.partition(b":")[2]) if b"Length" in header else size
            message = json.loads(out.read(size))
            if true(message):
                return message

    def complete(self) -> dict[str, Any]:
        document = {"uri": self.uri, "languageId": "python", "version": 1, "text": ADD}
        self.say("textDocument/didOpen", {"textDocument": document})
        where = {"textDocument": {"uri": self.uri}, "position": {"line": 1, "character": 11}}
        answer = self.ask("textDocument/inlineCompletion", where | {"context": {"triggerKind": 2}})
        item: dict[str, Any] = answer["items"][0]
        return item

    def accept(self, item: dict[str, Any]) -> None:
        change = {"range": item["range"], "text": item["insertText"]}
        document = {"uri": self.uri, "version": 2}
        changes = {"textDocument": document, "contentChanges": [change]}
        self.say("textDocument/didChange", changes)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(SCRIPT | {"store": f"sqlite:///{tmp_path / 'replay.db'}"}))
    made = Server(tmp_path, script)
    yield made
    made.process.kill()
    made.process.wait()
    for pipe in (made.process.stdin, made.process.stdout):
        assert pipe is not None
        pipe.close()


def kept(store: Store) -> set[tuple[str, FeedbackKind]]:
    return {(e.candidate.text, f.kind) for e in store.experiences() for f in e.feedback}


@pytest.mark.parametrize("way", ["end of file", "terminated", "shutdown at once", "exit alone"])
def test_what_was_accepted_is_kept(server: Server, store: Store, way: str) -> None:
    server.accept(server.complete())
    assert server.process.stdin is not None
    if way == "terminated":
        server.ask("workspace/executeCommand", {"command": "p2assist.status"})  # it has read it
        server.process.send_signal(signal.SIGTERM)
    elif way == "shutdown at once":
        server.say("shutdown", None, id="last")
        server.process.stdin.close()
    elif way == "exit alone":
        server.say("exit", None)
    else:
        server.process.stdin.close()
    server.process.wait(SECONDS)
    assert kept(store) == {("a + b", FeedbackKind.ACCEPTED)}


def test_what_was_only_shown_is_ignored(server: Server, store: Store) -> None:
    server.complete()
    assert server.process.stdin is not None
    server.process.stdin.close()
    server.process.wait(SECONDS)
    assert kept(store) == {("a + b", FeedbackKind.IGNORED)}
