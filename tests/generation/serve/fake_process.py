"""A model process whose models are fakes; what they do is said by the model's name."""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from p2assist import __version__
from p2assist.errors import ModelError
from p2assist.experience import Candidate, Task
from p2assist.generation.generator import FakeGenerator, Generator
from p2assist.generation.request import FREE, Context, Control
from p2assist.generation.serve import messages, server
from p2assist.generation.serve.messages import Spec
from p2assist.generation.serve.place import Place
from p2assist.generation.serve.process import leave, serve

STEP = 0.005


class Model(FakeGenerator):
    """'slow' decodes until it is stopped, 'kill' ends its process, 'kill once' the first time."""

    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        if self.model.startswith("slow"):
            while not control.expired:
                note("step")
                time.sleep(STEP)
                control.check()
        mark = logs / "killed"
        if self.model == "kill" or (self.model == "kill once" and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.model == "bug":
            raise RuntimeError("a bug")
        return super().generate(task, beams=beams, context=context, control=control)

    def score(self, task: Task, texts: Sequence[str]) -> list[Candidate]:
        return super().score(task, texts)


def load(spec: Spec, base: Generator | None) -> Generator:
    note(f"load {spec.model} {spec.adapter_name} {'shared' if base else 'whole'}")
    if spec.model == "missing":
        raise ModelError("the model 'missing' cannot be loaded")
    if spec.model == "late":
        time.sleep(0.5)
    return Model(model=Path(spec.model).name, adapter=spec.adapter_name)


def note(words: str) -> None:
    with (logs / "notes").open("a") as file:
        file.write(words + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--idle", type=float, required=True)
    parser.add_argument("--protocol", type=int, default=messages.PROTOCOL)
    parser.add_argument("--version", default=__version__)
    given = parser.parse_args()
    logs = given.logs
    server.PROTOCOL, server.__version__ = given.protocol, given.version
    note(f"start {os.getpid()}")
    leave(serve(Place(given.folder, given.logs), idle=given.idle, load=load))
