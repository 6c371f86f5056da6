"""`python -m benchmarks.modelless`: the language server whose model answers at once, always the
same. Everything else is the real thing, so what it takes is the server's own."""

from __future__ import annotations

from functools import cached_property

from p2assist_lsp.server import Server, run
from p2assist_lsp.services import Repository

from p2assist.experience import Candidate, Task
from p2assist.generation.generator import FakeGenerator, Generator
from p2assist.generation.request import FREE, Context, Control


class Fixed(FakeGenerator):
    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        control.check()
        return self.score(task, [f"value_{number}" for number in range(beams)])


class Modelless(Repository):
    @cached_property
    def completer(self) -> Generator:
        return Fixed()


if __name__ == "__main__":
    run(Server(Modelless))
