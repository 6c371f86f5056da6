"""How a model process comes to be: the first client that finds none starts one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from filelock import Timeout

from p2assist.errors import ModelError
from p2assist.generation.serve.place import OTHER, Place

_START_SECONDS = 60.0  # until it answers; it answers before it imports torch
_LOOK = 0.01
# oneDNN remembers 1,024 kernels of its own choice, 65 MB more, and is no faster for it.
_KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128"}


def command(place: Place, idle: float) -> tuple[str, ...]:
    """-P: nothing is imported from the folder that an editor happens to be in."""
    run = (sys.executable, "-P", "-m", "p2assist.generation.serve")
    return (*run, "--folder", str(place.folder), "--logs", str(place.logs), "--idle", str(idle))


def reach(place: Place, start: Sequence[str]) -> socket.socket:
    """A connection to the user's model process, which is started where none runs.

    However many call this at once, one process serves. Raises ModelError where none comes up.
    """
    place.prepare()
    link = place.connect()
    if link is not None:
        return link
    try:
        with place.starting():
            link = place.connect()  # another client may have been faster
            return link or _started(place, start)
    except Timeout as error:
        words = f"another client is still starting the model process: see {place.log}"
        raise ModelError(words) from error


def _started(place: Place, start: Sequence[str]) -> socket.socket:
    with place.errors.open("wb") as errors:
        process = subprocess.Popen(
            start,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=place.folder,
            env=_KERNELS | os.environ,
            start_new_session=True,  # closing the terminal, or Ctrl-C in it, is not for it
        )
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        link = place.connect()
        if link is not None:
            _reap(process)
            return link
        code = process.poll()
        if code is not None and code != OTHER:
            raise ModelError(f"the model process ended with code {code}: {_last(place)}")
        time.sleep(_LOOK)
    process.kill()
    raise ModelError(f"the model process did not answer in {_START_SECONDS:.0f} s: see {place.log}")


def _reap(process: subprocess.Popen[bytes]) -> None:
    """It outlives its client, and where it does not the client takes its exit code."""
    threading.Thread(target=process.wait, daemon=True, name="model-process").start()


def _last(place: Place) -> str:
    """The last line that it wrote to stderr."""
    try:
        lines = place.errors.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    words = lines[-1] if lines else f"see {place.log}"
    if "No module named" in words:
        words += ". The model needs `pip install 'p2assist[model]'`"
    return words
