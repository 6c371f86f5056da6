"""Keeps a warm server that is of the tree as it stands, and small."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from p2assist.errors import HarnessError
from p2assist.harness.server import Server, UnfitError

_MOST_STARTS = 3  # of a server for one state of the tree, where it keeps dying


class _Lease:
    """A server and how many use it."""

    def __init__(self, server: Server, state: str) -> None:
        self.server, self.state, self.users, self.retired = server, state, 0, False


class Keeper:
    """Starts a server at the first wish for one, and another one whenever the state has changed,
    the old one has died or holds more than most_memory bytes. The old one ends when its last
    user has.

    start: makes a server. state: see Watch. Thread-safe.
    """

    def __init__(
        self, start: Callable[[], Server], state: Callable[[], str], *, most_memory: int
    ) -> None:
        self._start, self._state, self._most_memory = start, state, most_memory
        self._lock = threading.Lock()
        self._lease: _Lease | None = None
        self._starts: dict[str, int] = {}
        self._why = ""
        self._closed = False

    @contextmanager
    def server(self) -> Iterator[Server]:
        """The server, which is not ended meanwhile. Raises UnfitError where there is none."""
        with self._lock:
            lease = self._current()
            lease.users += 1
        try:
            yield lease.server
        finally:
            with self._lock:
                lease.users -= 1
                self._end_unused(lease)

    def settle(self, seconds: float) -> bool:
        """See Server; True where there is none."""
        with self._lock:
            return self._lease is None or self._lease.server.settle(seconds)

    def close(self) -> None:
        """Ends the server."""
        with self._lock:
            self._closed = True
            if self._lease:
                self._retire(self._lease)
                self._lease = None

    def _current(self) -> _Lease:
        if self._closed:
            raise UnfitError("the tester was closed")
        state, lease = self._state(), self._lease
        if lease and lease.state == state and self._good(lease.server):
            return lease
        if lease:
            self._retire(lease)
            self._lease = None
        if self._starts.get(state, 0) >= _MOST_STARTS:
            raise UnfitError(self._why or "the server keeps dying")
        if state not in self._starts:
            self._starts = {state: 0}
        self._starts[state] += 1
        try:
            self._lease = _Lease(self._start(), state)
        except (HarnessError, OSError) as error:
            self._why = str(error)
            raise UnfitError(self._why) from error
        return self._lease

    def _good(self, server: Server) -> bool:
        if server.memory > self._most_memory:
            self._starts.clear()  # it has served long and well
            return False
        return server.alive

    def _retire(self, lease: _Lease) -> None:
        lease.retired = True
        self._end_unused(lease)

    @staticmethod
    def _end_unused(lease: _Lease) -> None:
        if lease.retired and not lease.users:
            lease.server.close()
