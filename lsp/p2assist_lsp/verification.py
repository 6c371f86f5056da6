"""Candidates are tested while they are looked at: the shown one first, then its siblings."""

from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from p2assist.errors import HarnessError, StoppedError
from p2assist.experience import TestReport
from p2assist.harness.demand import Demand
from p2assist_lsp.offers import Choice, Offer, State

if TYPE_CHECKING:
    from p2assist.harness.tester import Tester

_REMEMBERED = 2000  # reports
PAUSE = 0.2  # seconds
Changed = Callable[[Offer], None]
_log = logging.getLogger(__name__)


@dataclass(order=True, slots=True)
class _Job:
    rank: int  # of the candidate among those to be tested
    age: int  # newer offers come first
    offer: Offer | None = field(compare=False, default=None)
    choice: Choice | None = field(compare=False, default=None)
    stop: threading.Event = field(compare=False, default_factory=threading.Event)


class Verifier:
    """Tests the offers of one folder in `workers` threads. A newer offer of a document stops what
    is left of the older one. changed: told, from one of the threads, that an offer knows more.
    pause: seconds for which all but an offer's best wait: who types on asks again before that, and
    needs the processor for it."""

    def __init__(
        self, tester: Tester, changed: Changed, *, workers: int = 1, pause: float = PAUSE
    ) -> None:
        self.tester, self._changed, self._pause = tester, changed, pause
        self._jobs: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._age = itertools.count(0, -1)
        self._stops: dict[str, threading.Event] = {}
        self._known: OrderedDict[str, TestReport] = OrderedDict()
        self._lock = threading.Lock()
        self._trouble = ""
        self._threads = [
            threading.Thread(target=self._work, daemon=True, name="p2assist-verify")
            for _ in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def recall(self, offer: Offer) -> None:
        """Gives the offer what is known already of files like those that it would make."""
        for choice in offer.choices:
            if not offer.task.tests:
                choice.tested(TestReport(reason="no covering test"))
                continue
            with self._lock:
                report = self._known.get(offer.meaning(choice))
            if report is not None:
                choice.tested(report)

    def verify(
        self, offer: Offer, order: Sequence[Choice], *, slot: str = "", hurry: bool = False
    ) -> None:
        """Tests what is not tested yet, in this order, the best of which is shown. slot: what it
        takes the place of; the document's last offer where it is ''. hurry: all are shown."""
        slot = slot or offer.uri
        self.forget(slot)
        stop = threading.Event()
        self._stops[slot] = stop
        age = next(self._age)
        waiting = [c for c in order if c.state in (State.WAITING, State.TESTING)]
        jobs = [_Job(rank, age, offer, choice, stop) for rank, choice in enumerate(waiting)]
        if hurry or not self._pause:
            self._put(jobs)
            return
        siblings = [job for job in jobs if job.choice is not order[0]]
        self._put([job for job in jobs if job.choice is order[0]])
        if siblings:
            _later(self._pause, partial(self._put, siblings))

    def _put(self, jobs: Sequence[_Job]) -> None:
        for job in jobs:
            if not job.stop.is_set():
                self._jobs.put(job)

    def forget(self, slot: str) -> None:
        """Stops what is left there: of a document's last offer, for its URI."""
        stop = self._stops.pop(slot, None)
        if stop is not None:
            stop.set()

    def test_now(self, offer: Offer, choice: Choice) -> None:
        """Tests one candidate and returns when it is done."""
        self._test(_Job(0, 0, offer, choice))

    def close(self) -> None:
        for uri in list(self._stops):
            self.forget(uri)
        for _ in self._threads:
            self._jobs.put(_Job(-1, 0))

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job.offer is None:
                return
            done = job.choice is not None and job.choice.report is not None
            if not job.stop.is_set() and not done:
                self._test(job)

    def _test(self, job: _Job) -> None:
        offer, choice = job.offer, job.choice
        assert offer is not None
        assert choice is not None
        choice.state = State.TESTING
        self._changed(offer)
        demand = Demand(stop=job.stop, unsaved=offer.unsaved)
        try:
            report = self.tester.test(offer.task, choice.text, demand)
        except StoppedError:
            choice.state = State.WAITING
            return
        except HarnessError as error:
            choice.state, choice.trouble = State.UNTESTED, str(error)
            self._tell(str(error))
        except Exception as error:  # a bug in testing must not end testing
            choice.state, choice.trouble = State.UNTESTED, f"testing failed: {error!r}"
            _log.exception("testing failed")
        else:
            choice.tested(report)
            with self._lock:
                self._known[offer.meaning(choice)] = report
                while len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        self._changed(offer)

    def _tell(self, words: str) -> None:
        if words != self._trouble:
            self._trouble = words
            _log.warning("a candidate could not be tested: %s", words)


def _later(seconds: float, call: Callable[[], None]) -> None:
    """By the event loop where there is one: to start a thread, the key waits until it runs."""
    try:
        asyncio.get_running_loop().call_later(seconds, call)
    except RuntimeError:
        timer = threading.Timer(seconds, call)
        timer.daemon = True
        timer.start()
