"""Model processes with fake models, each in a folder of its own, gone when the test is."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from p2assist.errors import ModelError
from p2assist.generation.serve.client import ModelProcess, ServedGenerator
from p2assist.generation.serve.place import Place

SCRIPT = Path(__file__).parent / "fake_process.py"
Make = Callable[..., ModelProcess]


@pytest.fixture
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="p2a-"))
    yield Place(folder, folder)
    with suppress(ModelError):
        ModelProcess(Place(folder, folder)).stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make(place: Place) -> Make:
    """A client whose process has fake models; further options go to the process."""

    def made(*options: str, idle: float = 60) -> ModelProcess:
        start = (sys.executable, "-P", str(SCRIPT), "--folder", str(place.folder))
        start += ("--logs", str(place.logs), "--idle", str(idle), *options)
        return ModelProcess(place, start=start)

    return made


@pytest.fixture
def asked(make: Make) -> Callable[[str], ServedGenerator]:
    """The generator of a fake model."""
    process = make()
    return lambda model: ServedGenerator(model, process)


def notes(place: Place) -> list[str]:
    """What the processes at the place noted, in order."""
    file = place.logs / "notes"
    return file.read_text().splitlines() if file.exists() else []
