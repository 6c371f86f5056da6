"""Candidates that mean the same share one run, at the same time or later."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

from p2assist.errors import StoppedError
from p2assist.experience import TestReport

_REMEMBERED = 4_000  # reports kept in memory, of a hundred tests a hundred megabytes at most


class Shared:
    """Whole reports by what they are of: the code, the tests, the environment."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._known: OrderedDict[str, Future[TestReport]] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, key: str) -> TestReport | None:
        """The report, where there is one."""
        with self._lock:
            found = self._known.get(key)
            if found is None or not found.done():
                return None
            self._known.move_to_end(key)
        return found.result()

    def keep(self, key: str, report: TestReport) -> None:
        """Keeps a whole report."""
        done: Future[TestReport] = Future()
        done.set_result(report)
        with self._lock:
            self._known.setdefault(key, done)

    def clear(self) -> None:
        """Forgets what is of another state of the tree."""
        with self._lock:
            self._known.clear()

    def run(
        self, key: str, run: Callable[[], TestReport], stopped: Callable[[], bool]
    ) -> TestReport:
        """The report: known, under way for another caller, or run now. A report that is not
        whole is not kept. stopped: whether it is this caller who went away."""
        with self._lock:
            running = self._known.get(key)
            if mine := running is None:
                running = self._known[key] = Future()
                while len(self._known) > self._most:
                    self._known.popitem(last=False)
        assert running is not None
        if mine:
            return self._run(key, running, run)
        try:
            return running.result()
        except (StoppedError, CancelledError, KeyboardInterrupt):
            if stopped():
                raise
            return run()  # it was another caller who went away

    def _run(
        self, key: str, running: Future[TestReport], run: Callable[[], TestReport]
    ) -> TestReport:
        try:
            report = run()
        except BaseException as error:
            self._drop(key, running)
            running.set_exception(error)
            raise
        if not report.complete:
            self._drop(key, running)
        running.set_result(report)
        return report

    def _drop(self, key: str, running: Future[TestReport]) -> None:
        with self._lock:
            if self._known.get(key) is running:
                del self._known[key]
