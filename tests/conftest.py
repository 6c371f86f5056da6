"""No test meets the model process of whoever runs the tests, or leaves one behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2assist.generation.serve.client import ModelProcess
from p2assist.generation.serve.place import Place, supported


@pytest.fixture(scope="session", autouse=True)
def _own_model_process() -> Iterator[None]:
    folder = Path(tempfile.mkdtemp(prefix="p2a-"))  # a socket's path must be short
    before = os.environ.get("P2ASSIST_RUNTIME")
    os.environ["P2ASSIST_RUNTIME"] = str(folder)
    yield
    if supported():
        ModelProcess(Place(folder, folder)).stop()
    shutil.rmtree(folder, ignore_errors=True)
    if before is None:
        del os.environ["P2ASSIST_RUNTIME"]
    else:
        os.environ["P2ASSIST_RUNTIME"] = before
