"""The server with a scripted model and scripted tests, for tests of clients and of the protocol.

    python -m p2assist_lsp.testing script.json

Everything else is the real thing: pygls, documents, feedback, the store. script.json may hold

    answers       {what stands on the line before the cursor, stripped: [texts]}; "*": elsewhere
    seconds       that a generation takes; it can be cancelled
    tests         node ids of the tests that cover every place; none by default
    failing       {text of a candidate: [node ids that fail with it]}
    indexSeconds  that finding the tests takes
    testSeconds   that a candidate's tests take
    store         an SQLAlchemy URL; by default nothing is stored
    pace          by which the 30 s, 2 min and 10 min of survival are multiplied
    loading       why the model cannot be loaded

The command `p2assist.testing.text` [uri] answers with the server's copy of a document, and
`p2assist.testing.flush` [] when everything that happened is in the store.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from p2assist.errors import HarnessError, ModelError, StoppedError, StoreError
from p2assist.experience import Candidate, CoveringTest, Outcome, Task, TestReport
from p2assist.generation.generator import FakeGenerator
from p2assist.generation.request import FREE, Context, Control, Document
from p2assist.generation.typed_ahead import TypedAhead
from p2assist.harness.demand import WHOLE, Demand
from p2assist.harness.tester import FakeTester, Tester
from p2assist.p2value import P2Settings
from p2assist.replay.provenance import current_commit
from p2assist.replay.store import Store
from p2assist_lsp.server import Server, run
from p2assist_lsp.services import Progress, Say, Services, Wanted

_STEP = 0.002


class ScriptedGenerator(FakeGenerator):
    """A FakeGenerator whose answers follow from the line before the cursor."""

    script: Mapping[str, Any]

    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        until = time.monotonic() + self.script.get("seconds", 0.0)
        while time.monotonic() < until and not control.expired:
            time.sleep(_STEP)
            control.check()
        control.check()
        line = task.prefix.rpartition("\n")[2].strip()
        answers: Mapping[str, Sequence[str]] = self.script.get("answers", {})
        texts = answers.get(line, answers.get("*", ()))
        return self.score(task, list(dict.fromkeys(texts)))[:beams]


class ScriptedTester(FakeTester):
    """A FakeTester that takes its time and can be stopped."""

    seconds = 0.0

    def test(self, task: Task, text: str, demand: Demand = WHOLE) -> TestReport:
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            time.sleep(_STEP)
            if demand.stop is not None and demand.stop.is_set():
                raise StoppedError("the test run was stopped")
        return super().test(task, text, demand)


@dataclass
class Scripted:
    """Implements services.Services."""

    wanted: Wanted
    script: Mapping[str, Any]

    def __post_init__(self) -> None:
        generator = ScriptedGenerator()
        generator.script = self.script
        self.completer = TypedAhead(generator)
        self.p2value = P2Settings()
        self.model = "fake"

    def load(self) -> None:
        if "loading" in self.script:
            raise ModelError(self.script["loading"])

    def index(self, progress: Progress) -> tuple[Tester, int]:
        if not self.wanted.trusted:
            raise HarnessError("nothing of an untrusted folder may run")
        progress("running the tests", 0.5)
        time.sleep(self.script.get("indexSeconds", 0.0))
        tester = ScriptedTester(self._verdict)
        tester.seconds = self.script.get("testSeconds", 0.0)
        return tester, len(self.script.get("tests", ()))

    def covering(self, task: Task) -> tuple[CoveringTest, ...]:
        return tuple(CoveringTest(node_id, "0") for node_id in self.script.get("tests", ()))

    def context(self, task: Task, documents: Sequence[Document]) -> Context:
        return ()

    def open_store(self) -> Store:
        if "store" not in self.script:
            raise StoreError("this script has no store")
        return Store.open(self.script["store"])

    def commit(self) -> str:
        return current_commit(self.wanted.root)

    def close(self) -> None:
        """Nothing is open."""

    def _verdict(self, task: Task, text: str, node_id: str) -> bool | Outcome:
        failing: Mapping[str, Sequence[str]] = self.script.get("failing", {})
        made = task.apply(text)
        return not any(t in made and node_id in nodes for t, nodes in failing.items())


def scripted(script: Mapping[str, Any]) -> Server:
    """The server over a script."""

    def opening(wanted: Wanted, say: Say) -> Services:
        return Scripted(replace(wanted), script)

    server = Server(opening, pace=script.get("pace", 1.0))

    @server.command("p2assist.testing.text")
    def text(*arguments: Any) -> str | None:
        session = server.editor.sessions.get(str(arguments[0]))
        return session.document.text if session else None

    @server.command("p2assist.testing.flush")
    def flush(*arguments: Any) -> None:
        for folder in server.editor.folders.values():
            if folder.memory:
                folder.memory.flush()

    return server


if __name__ == "__main__":
    run(scripted(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
