"""The worker's messages, and the outcome of each test that follows from them.

A test passed only where set-up, call and tear-down were all reported as passed. What is missing
did not pass, whatever the process's end looked like.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from p2assist.experience import Outcome
from p2assist.harness.worker import MESSAGE_CHARACTERS, SEPARATOR, printable

OnTest = Callable[[int, int], None]

_EXIT_USAGE = 4  # pytest's status where a conftest.py cannot be imported, among others


@dataclass(frozen=True, slots=True)
class Verdict:
    """One test's outcome. seconds: of its three phases. message: why it did not pass. skipped:
    a skip or an expected failure, which is no pass and at baseline no fault either."""

    outcome: Outcome
    seconds: float = 0.0
    message: str = ""
    skipped: bool = False


@dataclass(slots=True)
class _Phases:
    """What was reported of one test."""

    passed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    skipped: bool = False
    expected: bool = False  # xfail had a say, whatever came of it
    seconds: float = 0.0
    message: str = ""


class Transcript:
    """Takes in the messages of one run. on_test: told how many tests are over, and of how many,
    whenever one is. on_end: told its node id then."""

    def __init__(
        self,
        nonce: str,
        on_test: OnTest = lambda done, total: None,
        on_end: Callable[[str], None] = lambda node_id: None,
    ) -> None:
        self._nonce = nonce.encode()
        self._on_test, self._on_end = on_test, on_end
        self._done = 0
        self._phases: dict[str, _Phases] = {}
        self.items: dict[str, None] = {}  # the collected tests, in the order they run
        self.uncollected: dict[str, str] = {}
        self.blobs: dict[str, bytearray] = {}
        self.unfit = ""  # why the warm server's child cannot test the candidate
        self.failure = ""  # why the worker could not begin
        self.status: int | None = None  # pytest's own, where it came to its end

    def receive(self, message: bytes) -> None:
        """One message from the channel; without the nonce it is not the worker's."""
        separator = SEPARATOR.encode()
        nonce, _, rest = message.partition(separator)
        if not hmac.compare_digest(nonce, self._nonce):
            return
        kind, _, rest = rest.partition(separator)
        if kind == b"blob":
            name, _, data = rest.partition(separator)
            self.blobs.setdefault(name.decode("utf-8", "replace"), bytearray()).extend(data)
            return
        fields = rest.decode("utf-8", "replace").split(SEPARATOR)
        if kind == b"phase" and len(fields) >= 6:
            self._phase(*fields[:6])
        elif kind == b"item":
            self.items[fields[0]] = None
        elif kind == b"collect":
            self.uncollected[fields[0]] = fields[1]
        elif kind == b"failed":
            self.failure = fields[0]
        elif kind == b"unfit":
            self.unfit = fields[0] or "it does not say why"
        elif kind == b"end":
            self.status = int(fields[0])

    def _phase(
        self, node_id: str, when: str, outcome: str, expected: str, seconds: str, message: str
    ) -> None:
        known = self._phases.setdefault(node_id, _Phases())
        known.seconds += float(seconds)
        known.expected |= expected == "1"
        if outcome == "passed":
            known.passed.add(when)
        elif outcome == "failed":
            known.failed.add(when)
        else:
            known.skipped = True
        if message and not known.message:
            known.message = printable(message)[:MESSAGE_CHARACTERS]
        if when == "teardown":
            self._done += 1
            self._on_test(self._done, len(self.items))
            self._on_end(node_id)

    def reported(self, node_id: str) -> bool:
        """Whether the test came to its end."""
        known = self._phases.get(node_id)
        return known is not None and "teardown" in known.passed | known.failed

    def verdict(self, node_id: str, unreported: Outcome) -> Verdict:
        """The test's outcome; unreported is that of a test which did not come to its end though
        nothing says why."""
        known = self._phases.get(node_id)
        if known is None or not (known.failed or "teardown" in known.passed):
            return self._missing(node_id, unreported)
        if known.failed:
            own = "call" in known.failed
            outcome = Outcome.FAILED if own else Outcome.ERROR
            return Verdict(outcome, known.seconds, known.message)
        if known.passed >= {"setup", "call", "teardown"} and not known.expected:
            return Verdict(Outcome.PASSED, known.seconds)
        why = "xfail" if known.expected else "skipped"
        said = f"{why}: {known.message}" if known.message else why
        return Verdict(Outcome.FAILED, known.seconds, said[:MESSAGE_CHARACTERS], skipped=True)

    def _missing(self, node_id: str, unreported: Outcome) -> Verdict:
        for collector, words in self.uncollected.items():
            if not collector or node_id == collector or node_id.startswith(f"{collector}::"):
                return Verdict(Outcome.ERROR, 0.0, f"not collected: {words}"[:MESSAGE_CHARACTERS])
        if node_id not in self.items and self.status in (0, 1, 5):
            return Verdict(Outcome.ERROR, 0.0, "not collected")
        if self.status == _EXIT_USAGE:
            return Verdict(Outcome.ERROR, 0.0, "not collected: pytest could not start")
        return Verdict(unreported)
