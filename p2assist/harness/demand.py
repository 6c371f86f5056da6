"""What a caller wants of a report: of which tree, how much of it, and by when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from p2assist.experience import TestOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The default is the whole report, whatever it takes.

    seconds: the budget; what has not run by then is `not run`, and the report says that it is
    partial. yes_or_no: the first test that breaks ends it; the others are `not run`. on_outcome:
    told each outcome as it comes, from a thread of the tester's. stop: set it, from any thread, to
    end the run at once; the tester raises StoppedError then. unsaved: other files of the tree as
    open buffers have them, by path below the root; see unsaved.over.
    """

    seconds: float | None = None
    yes_or_no: bool = False
    on_outcome: Callable[[TestOutcome], None] | None = None
    stop: threading.Event | None = None
    unsaved: Mapping[str, str] = field(default_factory=dict)


WHOLE = Demand()
