"""`python -m benchmarks.modelless`: the language server whose model answers at once, always the
same. Everything else is the real thing, so what it takes is the server's own.

For each ghost text a line is added to the file that $P2ASSIST_TIMES names: milliseconds from
reading the request to having written the answer.
"""

from __future__ import annotations

import os
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from p2assist_lsp.protocol import Protocol
from p2assist_lsp.server import Server, run
from p2assist_lsp.services import Repository

from p2assist.experience import Candidate, Task
from p2assist.generation.generator import FakeGenerator
from p2assist.generation.request import FREE, Context, Control
from p2assist.generation.typed_ahead import TypedAhead

ASKED = "textDocument/inlineCompletion"


class Fixed(FakeGenerator):
    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        control.check()
        return self.score(task, [f"value_{task.start}_{number}" for number in range(beams)])


class Modelless(Repository):
    @cached_property
    def completer(self) -> TypedAhead:
        return TypedAhead(Fixed())


def time_answers(protocol: Protocol, file: Path) -> None:
    """Notes in the file what each answer with a ghost text took."""
    structure, respond = protocol.structure_message, protocol._send_response
    asked: dict[Any, float] = {}

    def structured(data: dict[str, Any]) -> Any:
        if data.get("method") == ASKED:
            asked[data["id"]] = time.perf_counter()
        return structure(data)

    def responded(msg_id: Any, result: Any = None, error: Any = None) -> None:
        respond(msg_id, result, error)
        began = asked.pop(msg_id, None)
        if began is not None and result is not None and result.items:
            with file.open("a") as lines:
                print(1000 * (time.perf_counter() - began), file=lines)

    protocol.structure_message = structured  # type: ignore[method-assign]
    protocol._send_response = responded  # type: ignore[method-assign]


if __name__ == "__main__":
    server = Server(Modelless)
    assert isinstance(server.protocol, Protocol)
    time_answers(server.protocol, Path(os.environ["P2ASSIST_TIMES"]))
    run(server)
