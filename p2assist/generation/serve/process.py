"""The model process itself: its log, its lock, its life."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from logging.handlers import RotatingFileHandler

from filelock import Timeout

from p2assist.generation.serve.models import Load, load
from p2assist.generation.serve.place import OTHER, Place
from p2assist.generation.serve.server import Server

_LOG_BYTES, _LOGS = 1 << 20, 3
_WAIT = 30.0  # seconds for a process that leaves to be gone

_log = logging.getLogger(__name__)


def serve(place: Place, *, idle: float, load: Load = load) -> int:
    """Answers until idle; returns an exit code. A second process leaves at once with OTHER."""
    place.prepare()
    _log_to(place)
    lock = place.serving()
    until = time.monotonic() + _WAIT
    while True:
        try:
            lock.acquire()
            break
        except Timeout:
            if _answers(place) or time.monotonic() > until:
                return OTHER
            time.sleep(0.02)
    try:
        asyncio.run(_run(place, idle, load))
    finally:
        lock.release()
    return 0


async def _run(place: Place, idle: float, load: Load) -> None:
    await Server(place, load, idle=idle).run()


def leave(code: int) -> None:
    """Ends the process without waiting for threads that may still load a model."""
    logging.shutdown()
    os._exit(code)


def _answers(place: Place) -> bool:
    link = place.connect()
    if link is None:
        return False
    link.close()
    return True


def _log_to(place: Place) -> None:
    """What happens, never what is completed: no source text is logged."""
    handler = RotatingFileHandler(
        place.log, maxBytes=_LOG_BYTES, backupCount=_LOGS, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    root = logging.getLogger("p2assist")
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False
