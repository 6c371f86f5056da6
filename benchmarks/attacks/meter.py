"""What the processes below this one take, looked at while they run."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

import psutil

_EVERY = 0.05  # seconds
_FEW = 60  # processes whose memory is counted exactly; more would take longer than the tick


class Meter:
    """Use as a context manager around what is to be watched. Peaks stay until the next time."""

    def __init__(self) -> None:
        self._peaks: dict[str, int] = {}
        self._stop = threading.Event()

    def peak(self, name: str) -> int:
        """'processes' (with their threads), 'MB in processes', 'MB held elsewhere' (files in
        memory, the kernel's own), 'MB in p2assist' (growth of this process)."""
        return self._peaks.get(name, 0)

    def __enter__(self) -> Meter:
        self._peaks, self._stop = {}, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._held, self._own = _held(), psutil.Process().memory_info().rss
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._stop.wait(_EVERY):
            below = own.children(recursive=True)
            self._note("processes", sum(_threads(p) for p in below))
            if len(below) < _FEW:
                self._note("MB in processes", sum(_memory(p) for p in below) >> 20)
            self._note("MB held elsewhere", (_held() - self._held) >> 20)
            self._note("MB in p2assist", (own.memory_info().rss - self._own) >> 20)

    def _note(self, name: str, value: int) -> None:
        self._peaks[name] = max(self._peaks.get(name, 0), value)


def _threads(process: psutil.Process) -> int:
    try:
        return int(process.num_threads())
    except psutil.Error:
        return 0


def _memory(process: psutil.Process) -> int:
    """Bytes, what is shared counted by its share."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def _held() -> int:
    """Bytes of files in memory and of the kernel's own that cannot be taken back."""
    text = Path("/proc/meminfo").read_text()
    lines = dict(line.split(":") for line in text.splitlines())
    return sum(int(lines[name].split()[0]) << 10 for name in ("Shmem", "SUnreclaim"))
