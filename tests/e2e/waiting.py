"""Waiting for what an editor has yet to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_LOOK = 0.03  # seconds between two looks


def wait(condition: Callable[[], T], what: str | Callable[[], str], *, patience: float) -> T:
    """The condition's first true value; fails when patience (seconds) is at its end."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(_LOOK)
    raise AssertionError(f"in vain: {what() if callable(what) else what}")
