"""What goes with a task to a generator: repository context, and when to stop."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from enum import StrEnum

from p2assist.errors import CancelledError


class SnippetKind(StrEnum):
    """Where a piece of repository context comes from; each kind has a token budget of its own."""

    SIGNATURES = "signatures"  # the same file's imports and signatures
    DEFINITION = "definition"  # of a name that is used near the cursor
    RECENT = "recent"  # a file edited a short while ago, the part that was edited
    OPEN = "open"  # a file that is open in the editor
    SIMILAR = "similar"  # code anywhere in the repository that is like the code at the cursor


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of repository context. path: posix path below the repository's root."""

    kind: SnippetKind
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A file that the editor has open, or that was edited a short while ago.

    path: posix path below the root. text: what the editor holds, None for what is on the disk.
    line: 1-based, where it was edited last; None where that is not known.
    """

    path: str
    text: str | None = None
    line: int | None = None


Context = tuple[Snippet, ...]  # the most useful first


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """When a generation ends before it is finished.

    deadline: in seconds of time.monotonic(); the best so far is returned then. cancelled: set it,
    from any thread, to end the generation within one decoding step by CancelledError.
    """

    deadline: float | None = None
    cancelled: threading.Event | None = None

    @property
    def expired(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def left(self) -> float:
        """Seconds until the deadline, below 0 behind it; infinite where there is none."""
        return math.inf if self.deadline is None else self.deadline - time.monotonic()

    def check(self) -> None:
        """Raises CancelledError where the caller has lost interest."""
        if self.cancelled is not None and self.cancelled.is_set():
            raise CancelledError("the completion was cancelled")


FREE = Control()
