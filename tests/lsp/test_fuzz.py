"""Ten thousand edits, and whatever else a client may say, on several documents at once."""

from __future__ import annotations

import asyncio
import json
import random
import re
from concurrent.futures import Future
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from .conftest import Client, Serve

EDITS = 10_000
PIECES = (
    *("a", "b + c", "x = ", "return ", "(", ")", "'", '"""', "# ", "def f(self):", "    ", "\t"),
    *("\n", "\r\n", "\r", "\n\n", "\f", "\v", "\u2028", "\x85", "é", "🐍", "e\u0301", ""),
)
SCRIPT: dict[str, Any] = {
    "answers": {"*": ["a", "b + c", "x = 1", "(🐍)"]},
    "tests": ["t.py::test_a"],
    "failing": {"b + c": ["t.py::test_a"]},
    "seconds": 0.004,
    "testSeconds": 0.002,
    "pace": 0.001,
}


class Buffer:
    """The client's side of a document, kept as UTF-16 units: another implementation than ours."""

    def __init__(self, text: str) -> None:
        self.units = _units(text)

    @property
    def text(self) -> str:
        return self.units.encode("utf-16", "surrogatepass").decode("utf-16")

    def place(self, rng: random.Random) -> tuple[int, int, int]:
        """A random position, and its offset in units: often one that does not exist."""
        starts = [0, *(m.end() for m in re.finditer("\r\n|\r|\n", self.units))]
        line = rng.randrange(len(starts))
        end = starts[line + 1] if line + 1 < len(starts) else len(self.units)
        size = len(self.units[starts[line] : end].rstrip("\r\n"))
        column = rng.randint(0, size)
        at = starts[line] + column
        if column and "\ud800" <= self.units[at - 1] <= "\udbff":  # never within a character
            column, at = column - 1, at - 1
        if rng.random() < 0.05:
            return line, size + rng.randint(1, 50), starts[line] + size
        if rng.random() < 0.02:
            return len(starts) + rng.randint(1, 9), rng.randint(0, 9), len(self.units)
        return line, column, at

    def change(self, rng: random.Random) -> types.TextDocumentContentChangeEvent:
        if rng.random() < 0.01:
            text = "".join(rng.choices(PIECES, k=30))
            self.units = _units(text)
            return types.TextDocumentContentChangeWholeDocument(text)
        one, two = self.place(rng), self.place(rng)
        if rng.random() < 0.7 or (one[0] != two[0] and rng.random() < 0.8):
            two = one
        first, last = sorted((one, two), key=lambda place: place[2])
        text = rng.choice(PIECES)
        self.units = self.units[: first[2]] + _units(text) + self.units[last[2] :]
        span = types.Range(types.Position(*first[:2]), types.Position(*last[:2]))
        return types.TextDocumentContentChangePartial(span, text)


def _units(text: str) -> str:
    """The text with two surrogates for every character that UTF-16 gives two units."""
    data = text.encode("utf-16-le")
    return "".join(chr(data[i] | data[i + 1] << 8) for i in range(0, len(data), 2))


def nonsense(rng: random.Random, uri: str) -> dict[str, Any]:
    """A message that no client should send."""
    method = rng.choice(
        (
            "textDocument/inlineCompletion",
            "textDocument/didChange",
            "textDocument/completion",
            "workspace/executeCommand",
            "notebookDocument/didChange",
            "textDocument/didShowCompletion",
            "textDocument/hover",
            "completionItem/resolve",
            "$/cancelRequest",
            "no/such/method",
            "initialized?",
        )
    )
    params: Any = rng.choice(
        (
            None,
            [],
            7,
            {"textDocument": {"uri": uri}},
            {"textDocument": {"uri": "file:///not/open.py"}, "position": {"line": 0}},
            {"textDocument": {"uri": 5}, "position": {"line": "a", "character": -1}},
            {"textDocument": {"uri": uri, "version": 1}, "contentChanges": [{"text": 3}]},
            {"textDocument": {"uri": "untitled:x", "version": 1}, "contentChanges": []},
            {
                "command": "p2assist.accepted",
                "arguments": [rng.choice(([], "x", {"id": []}, None))],
            },
            {"command": "p2assist.why", "arguments": [{"uri": uri, "position": {"line": "x"}}]},
            {"command": "p2assist.trust", "arguments": [{"folder": 3}]},
        )
    )
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    if rng.random() < 0.5:
        message["id"] = f"nonsense {rng.random()}"
    return message


def misspeak(client: Client, rng: random.Random, uri: str) -> asyncio.Future[Any] | None:
    """Sends nonsense; where it is a whole request, gives the answer to come."""
    message = nonsense(rng, uri)
    body = json.dumps(message).encode()
    broken = rng.choice((None, None, None, body[: len(body) // 2], b"\xff\xfe", b"[]", b"null"))
    writer, asked = client.protocol.writer, None
    assert writer is not None
    if broken is None and "id" in message:
        answer = client.protocol._request_futures[message["id"]] = Future()
        asked = asyncio.wrap_future(answer)
    sent = body if broken is None else broken
    writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(sent), sent))
    return asked


@pytest.mark.timeout(280)
def test_ten_thousand_edits_leave_identical_buffers(serve: Serve) -> None:
    async def main() -> None:
        rng = random.Random(0)
        async with serve(SCRIPT) as client:
            buffers: dict[str, Buffer] = {}
            requests: list[asyncio.Future[Any]] = []
            misspoken: list[asyncio.Future[Any]] = []
            for number in range(4):
                text = "".join(rng.choices(PIECES, k=80))
                buffers[client.open(f"{number}.py", text)] = Buffer(text)
            for number in range(EDITS):
                uri = rng.choice(list(buffers))
                change = buffers[uri].change(rng)
                client.versions[uri] += 1
                document = types.VersionedTextDocumentIdentifier(client.versions[uri], uri)
                client.text_document_did_change(
                    types.DidChangeTextDocumentParams(document, [change])
                )
                dice = rng.random()
                if dice < 0.08:
                    line, column, _ = buffers[uri].place(rng)
                    asked = client.inline(uri, line, column, invoked=rng.random() < 0.3)
                    requests.append(asyncio.ensure_future(asked))
                elif dice < 0.1 and requests:
                    identifier = rng.choice(list(client.protocol._request_futures) or ["none"])
                    client.protocol.notify("$/cancelRequest", {"id": identifier})
                elif dice < 0.13:
                    answer = misspeak(client, rng, uri)
                    misspoken += [answer] if answer else []
                elif dice < 0.14:
                    closing = types.TextDocumentIdentifier(uri)
                    client.text_document_did_close(types.DidCloseTextDocumentParams(closing))
                    del buffers[uri]
                    name = uri.rpartition("/")[2]
                    buffers[client.open(name, "x = 1\n")] = Buffer("x = 1\n")
                if number % 50 == 0:
                    await asyncio.sleep(0)
                if number % 2000 == 0:
                    for name, buffer in buffers.items():
                        assert await client.run("p2assist.testing.text", name) == buffer.text
            async with asyncio.timeout(100):
                answers = await asyncio.gather(*requests, return_exceptions=True)
                errors = await asyncio.gather(*misspoken, return_exceptions=True)
            for said in answers:
                assert isinstance(said, list | JsonRpcException | asyncio.CancelledError), said
            assert sum(isinstance(said, list) and bool(said) for said in answers) > 10
            assert len(errors) > 10
            for name, buffer in buffers.items():
                assert await client.run("p2assist.testing.text", name) == buffer.text
                assert isinstance(await client.inline(name, 0, 0, invoked=True), list)

    asyncio.run(main())
