"""Memory that is free goes back to the machine when nobody types."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Asks the C library for it; nothing happens where it has no such thing (only glibc does). It
    keeps some 40 MB else, of what a prompt needed for a moment."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
