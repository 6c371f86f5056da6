"""A language server of few words that speaks lsp/PROTOCOL.md: for driving the clients alone.

It knows three functions by heart, tests nothing and writes down what it is told: one JSON object a
line in the file that P2ASSIST_STANDIN_LOG names.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

LOG = Path(os.environ["P2ASSIST_STANDIN_LOG"])
TESTING_TAKES = 0.15  # seconds between the phases of the evidence
THINKING_TAKES = float(os.environ.get("P2ASSIST_STANDIN_THINKING", "0"))  # seconds to an answer


@dataclass(frozen=True)
class Known:
    """What follows the start of a line, and what its tests would say."""

    start: str
    text: str
    passed: int
    total: int
    failing: tuple[str, ...] = ()

    def words(self) -> str:
        if not self.total:
            return "no covering test"
        if self.failing:
            return f"fails {self.failing[0]}"
        return f"{self.passed}/{self.total} covering tests"


KNOWN = (
    Known("def add", "(a, b):\n    return a + b", 7, 7),
    Known("def add", "(a, b):\n    return a - b", 5, 7, ("test_add", "test_zero")),
    Known("def add", "(*terms):\n    return sum(terms)", 6, 7, ("test_order",)),
    Known("def smile", '(): return "😀 ünï" + ok()', 0, 0),
    Known("total = sum(", "prices)", 2, 2),
)


@dataclass(frozen=True)
class Candidate:
    id: str
    known: Known
    text: str
    rank: int
    state: str = "waiting"

    def entry(self) -> dict[str, Any]:
        tested = self.state == "tested"
        rate = self.known.passed / self.known.total if tested and self.known.total else None
        words = {"waiting": "", "testing": "testing…", "untested": "untested"}
        return {
            "id": self.id,
            "text": self.text,
            "rank": self.rank,
            "possibility": 0.9 / self.rank,
            "passRate": rate,
            "p2value": None if rate is None else (0.9 / self.rank + rate) / 2,
            "passed": self.known.passed,
            "total": self.known.total,
            "failing": list(self.known.failing),
            "evidence": words.get(self.state, self.known.words()),
            "state": self.state,
        }


class Standin(LanguageServer):
    def __init__(self) -> None:
        super().__init__("p2assist", "standin")
        self.candidates: dict[str, Candidate] = {}
        self.served = 0
        self.champion = "none"
        self.trusted = False
        self.refused: set[str] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    def note(self, what: str, **about: Any) -> None:
        with LOG.open("a", encoding="utf-8") as log:
            log.write(json.dumps({"what": what, **about}) + "\n")

    def status(self) -> dict[str, Any]:
        state = "ready" if self.trusted else "untrusted"
        words = "ready" if self.trusted else "untrusted: no test runs"
        return {
            "folder": "",
            "state": state,
            "words": words,
            "model": "pocket",
            "adapter": self.champion,
            "tests": 7,
        }

    def tell_status(self) -> None:
        self.protocol.notify("p2assist/status", self.status())

    def offer(self, params: types.InlineCompletionParams) -> list[Candidate]:
        document = self.workspace.get_text_document(params.text_document.uri)
        line = document.lines[params.position.line] if document.lines else ""
        offset = document.offset_at_position(params.position) - document.offset_at_position(
            types.Position(params.position.line, 0)
        )
        before = line[:offset]
        fitting = [
            (known, (known.start + known.text)[len(before) :])
            for known in KNOWN
            if len(before) >= len(known.start)
            and (known.start + known.text).startswith(before)
            and known.text not in self.refused
        ]
        self.served += 1
        made = [
            Candidate(f"{self.served}.{rank}", known, text, rank)
            for rank, (known, text) in enumerate(fitting, 1)
            if text
        ]
        self.candidates.update({candidate.id: candidate for candidate in made})
        return made

    def tell_evidence(self, uri: str, version: int | None, ids: list[str]) -> None:
        entries = [self.candidates[one].entry() for one in ids]
        params = {"uri": uri, "version": version, "candidates": entries}
        self.protocol.notify("p2assist/evidence", params)

    async def test(self, uri: str, version: int | None, ids: list[str]) -> None:
        states = ("waiting", "testing", "tested") if self.trusted else ("untested",)
        for state in states:
            for one in ids:
                known = self.candidates[one].known
                final = state if known.total else "untested"
                self.candidates[one] = replace(self.candidates[one], state=final)
            self.tell_evidence(uri, version, ids)
            await asyncio.sleep(TESTING_TAKES)


server = Standin()


@server.feature(types.INITIALIZE)
def initialize(ls: Standin, params: types.InitializeParams) -> None:
    options = params.initialization_options or {}
    ls.trusted = options.get("trusted", False)
    ls.note("initialize", options=options, process=os.getpid())


@server.feature(types.INITIALIZED)
def initialized(ls: Standin, _params: types.InitializedParams) -> None:
    ls.window_log_message(
        types.LogMessageParams(types.MessageType.Info, "stand-in at your service")
    )
    ls.tell_status()


@server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
def configured(ls: Standin, params: types.DidChangeConfigurationParams) -> None:
    ls.note("configure", options=params.settings["p2assist"])
    ls.trusted = params.settings["p2assist"].get("trusted", False)
    ls.tell_status()


@server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
async def inline(ls: Standin, params: types.InlineCompletionParams) -> types.InlineCompletionList:
    if THINKING_TAKES:
        ls.note("thinking")
        try:
            await asyncio.sleep(THINKING_TAKES)
        except asyncio.CancelledError:
            ls.note("cancelled")
            raise
    made = ls.offer(params)
    if params.context.trigger_kind == types.InlineCompletionTriggerKind.Automatic:
        made = made[:1]
    ls.note("ask", kind=params.context.trigger_kind, ids=[one.id for one in made])
    uri = params.text_document.uri
    version = ls.workspace.get_text_document(uri).version
    if made:
        task = asyncio.get_running_loop().create_task(
            ls.test(uri, version, [one.id for one in made])
        )
        ls.tasks.add(task)
        task.add_done_callback(ls.tasks.discard)
    position = types.Range(params.position, params.position)
    return types.InlineCompletionList(
        [
            types.InlineCompletionItem(
                insert_text=one.text,
                range=position,
                command=accept(one.id, uri),
            )
            for one in made
        ]
    )


def accept(candidate: str, uri: str) -> types.Command:
    argument = {"id": candidate, "uri": uri}
    return types.Command("p2assist", "p2assist.accepted", arguments=[argument])


def told(name: str) -> None:
    @server.command(f"p2assist.{name}")
    def run(ls: Standin, *arguments: Any) -> None:
        ls.note(name, **arguments[0])


for name in ("accepted", "partiallyAccepted", "shown", "rejected"):
    told(name)


@server.command("p2assist.why")
def why(ls: Standin, *arguments: Any) -> dict[str, Any]:
    ls.note("why", **arguments[0])
    chosen = [one for one in ls.candidates.values() if one.id.startswith(f"{ls.served}.")]
    rows = [
        f"| {one.rank} | {one.entry()['possibility']:.2f} | {one.known.words()} |" for one in chosen
    ]
    table = "\n".join(["| | possibility | evidence |", "|---|---|---|", *rows])
    diff = "```diff\n-    return a - b\n+    return a + b\n```"
    return {"markdown": f"{table}\n\n{diff}", "candidates": [one.entry() for one in chosen]}


@server.command("p2assist.test")
def test(ls: Standin, *arguments: Any) -> dict[str, Any]:
    ls.note("test", **arguments[0])
    chosen = replace(ls.candidates[arguments[0]["id"]], state="tested")
    return chosen.entry()


@server.command("p2assist.never")
def never(ls: Standin, *arguments: Any) -> None:
    ls.note("never", **arguments[0])
    ls.refused.add(ls.candidates[arguments[0]["id"]].known.text)


@server.command("p2assist.pause")
def pause(ls: Standin) -> None:
    ls.note("pause")
    ls.protocol.notify("p2assist/status", {**ls.status(), "state": "paused", "words": "paused"})


@server.command("p2assist.resume")
def resume(ls: Standin) -> None:
    ls.note("resume")
    ls.tell_status()


@server.command("p2assist.trust")
def trust(ls: Standin, *arguments: Any) -> None:
    ls.note("trust", **arguments[0])
    ls.trusted = arguments[0]["trusted"]
    ls.tell_status()


@server.command("p2assist.status")
def status(ls: Standin) -> dict[str, Any]:
    return ls.status()


@server.command("p2assist.reload")
def reload(ls: Standin) -> str:
    ls.champion = "adapter-2"
    ls.note("reload")
    ls.tell_status()
    return ls.champion


if __name__ == "__main__":
    server.start_io()
