"""The warm server, seen from outside: it is started, asked for children, watched and ended.

What runs inside is forkserver.py, in a sandbox as every candidate's, with a cell of its own for
each child (cells.py). A server that died, or that cannot serve the project, says why: the caller
takes another level.
"""

from __future__ import annotations

import json
import marshal
import os
import secrets
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from p2assist.harness import sandbox, seccomp
from p2assist.harness.outcomes import Transcript
from p2assist.harness.sandbox import Command, Ending, Files
from p2assist.harness.suite import Suite
from p2assist.harness.worker import SEPARATOR

_MODULES = ("worker", "cell", "statement", "swap", "forkserver")  # in the order of their imports
_PROCESSES = 400  # in one cell
_FOREVER = 1 << 30  # seconds of processor time: its children have their own limit
_START = 300.0  # seconds that importing and collecting may take
_POLL = 0.05  # seconds between two looks at a caller's wish to stop
_MOST_BYTES = 8 << 20  # that a child may report
_LONGEST = 1 << 18
_END = 10.0  # seconds that the next candidate waits for a cell to end
_SO_PASSCRED, _SCM_CREDENTIALS = 16, 2
_CREDENTIALS = struct.Struct("=iII")
_BOOT = """
def boot():
    import json, os, sys, types
    with open(0, "rb", closefd=False) as stream:
        request = json.loads(stream.read().decode())
    os.truncate(0, 0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    request["seccomp"] = bytes.fromhex(request["seccomp"])
    before = set(sys.modules)
    package = sys.modules["_p2assist"] = types.ModuleType("_p2assist")
    for name, text in request.pop("modules"):
        module = types.ModuleType("_p2assist." + name)
        exec(compile(text, "<p2assist " + name + ">", "exec"), module.__dict__)
        setattr(package, name, module)
    del sys.modules["_p2assist"]
    for name in ("ctypes", "ctypes._endian", "_ctypes", "resource"):
        if name not in before:
            sys.modules.pop(name, None)
    package.forkserver.main(request)
boot()
"""


class ShortError(Exception):
    """The machine ran short of memory, and the candidate held much of it. Never leaves the
    harness."""


class UnfitError(Exception):
    """This level cannot test it; the text says why. Never leaves the harness."""


@cache
def _modules() -> tuple[tuple[str, str], ...]:
    """The texts that run inside. They import each other by a name of their own there, because
    the project may be p2assist itself."""
    folder = Path(__file__).parent
    texts = ((name, (folder / f"{name}.py").read_text(encoding="utf-8")) for name in _MODULES)
    ours, there = "from p2assist.harness import", "from _p2assist import"
    return tuple((name, text.replace(ours, there)) for name, text in texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a child is to do. files, stale: see sandbox.Command. wanted: node ids. arguments: of
    pytest, for a child that collects anew. order: see suite.Run. timeout, cpu: seconds."""

    files: Sequence[tuple[str, bytes]]
    wanted: Sequence[str]
    arguments: Sequence[str] = ()
    stale: Sequence[str] = ()
    order: str = ""
    timeout: float = 60.0
    cpu: int = 60


class Server:
    """Two doors, 'swap' and 'preload', to children that each test one candidate.

    suite: what is tested, in namespaces. options, compiled, stale, files: see suite.Run. ready:
    children kept waiting at each door, by its name. Use as a context manager, or close it.
    Nothing is left of it when its owner ends, in whatever manner.
    """

    def __init__(
        self,
        suite: Suite,
        *,
        options: Sequence[str] = (),
        compiled: str = "",
        stale: Sequence[str] = (),
        files: Files = (),
        ready: Mapping[str, int] | None = None,
    ) -> None:
        self._stack = ExitStack()
        kept = ready or {"swap": 2, "preload": 1}
        pairs = {
            name: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for name in ("swap", "preload", "builder")
        }
        numbers = {name: theirs.fileno() for name, (_, theirs) in pairs.items()}
        ours = pairs["builder"][0]
        handles = [*numbers.values(), ours.fileno()]
        try:
            command = _command(suite, numbers, options, compiled, stale, files)
            launcher = self._stack.enter_context(
                sandbox.serving(suite.box, command, handles=handles, builder=ours.fileno())
            )
        finally:
            for _, theirs in pairs.values():
                theirs.close()
            ours.close()
        self._launcher = launcher
        self.doors = {n: Door(pairs[n][0], launcher, kept[n]) for n in ("swap", "preload")}
        for door in self.doors.values():
            self._stack.callback(door.close)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server and every child of it."""
        self._stack.close()

    @property
    def alive(self) -> bool:
        """Whether its first process is there still."""
        return self._launcher.poll() is None

    def settle(self, seconds: float) -> bool:
        """Waits until every cell whose verdict was told is gone; whether they are by then."""
        deadline = time.monotonic() + seconds
        return all(door.settle(deadline) for door in self.doors.values())

    @property
    def memory(self) -> int:
        """Bytes that its bigger process held when it last started a child."""
        return max(door.memory for door in self.doors.values())


def _command(
    suite: Suite,
    numbers: Mapping[str, int],
    options: Sequence[str],
    compiled: str,
    stale: Sequence[str],
    files: Files,
) -> Command:
    place = suite.box.place()
    request = {
        "modules": _modules(),
        "preload": numbers["preload"],
        "collected": numbers["swap"],
        "builder": numbers["builder"],
        "root": place.root,
        "arguments": suite.arguments(place, paths=(), options=options),
        "has_cov": "pytest_cov" in suite.interpreter.modules,
        "seccomp": seccomp.packed(seccomp.program(())).hex(),
        "processes": _PROCESSES,
        "kept": [place.root, *suite.box.read],
    }
    return Command(
        argv=(str(suite.interpreter.python), "-c", _BOOT),
        env=suite.environment(place),
        place=place,
        request=lambda channel: json.dumps(request).encode(),
        files=files,
        stale=(*stale, *(path for path, _ in files)),
        compiled=compiled,
        timeout=float("inf"),
        cpu=_FOREVER,
    )


class Door:
    """One process of the server, which gives children. ready: how many are kept waiting, and how
    many may still be ending, each with all that its candidate took, while another begins."""

    def __init__(
        self, control: socket.socket, launcher: subprocess.Popen[bytes], ready: int
    ) -> None:
        self._control, self._launcher, self._ready = control, launcher, ready
        self._waiting: deque[Child] = deque()
        self._ending: deque[int] = deque()  # pidfds of the first processes of cells
        self._lock = threading.Lock()
        self._why = ""
        self._open = False
        self.memory = 0

    @property
    def why(self) -> str:
        """Why it gives no children; '' where it does, as far as is known."""
        return self._why

    def wait(self, deadline: float) -> bool:
        """Whether it is there. It has importing and collecting to do first."""
        with self._lock:
            while not (self._open or self._why):
                if time.monotonic() > deadline:
                    return False
                if select.select([self._control], [], [], _POLL)[0]:
                    self._hear()
        return self._open and not self._why

    def _hear(self) -> None:
        try:
            said = self._control.recv(_LONGEST)
        except OSError:
            said = b""
        if not said:
            self._why = self._why or "the server died"
            return
        kind, words = _fields(said, 2)
        if kind == "ready":
            self._open = True
        else:
            self._why = words or "the server failed"

    def take(self) -> Child:
        """A child, which may still be on its way. Raises UnfitError where there is none."""
        with self._lock:
            while select.select([self._control], [], [], 0)[0] and not self._why:
                self._hear()
            if self._why:
                raise UnfitError(self._why)
            self._let_end(self._ready, time.monotonic() + _END)
            if not self._waiting:
                self._waiting.append(self._spawn())
            return self._waiting.popleft()

    def fill(self) -> None:
        """Lets children come for the next candidates: when this one's is at work, because a
        processor is what both need."""
        with self._lock, suppress(UnfitError):
            while not self._why and len(self._waiting) < self._ready:
                self._waiting.append(self._spawn())

    def ends(self, cell: int) -> None:
        """A child's cell has nothing to do any more. cell: pidfd of its first process, which is
        readable when all in it are gone; it is taken over."""
        with self._lock:
            self._ending.append(cell)

    def settle(self, deadline: float) -> bool:
        """See Server."""
        with self._lock:
            return self._let_end(0, deadline)

    def _let_end(self, most: int, deadline: float) -> bool:
        """Waits until at most so many cells are still ending."""
        while len(self._ending) > most:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._ending[0]], [], [], left)[0]:
                return False
            os.close(self._ending.popleft())
        return True

    def _spawn(self) -> Child:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, _SO_PASSCRED, 1)
        with theirs:
            try:
                socket.send_fds(self._control, [b"spawn"], [theirs.fileno()])
            except OSError as error:
                ours.close()
                self._why = "the server died"
                raise UnfitError(self._why) from error
        return Child(ours, self)

    def close(self) -> None:
        with self._lock:
            self._why = self._why or "it was closed"
            for child in self._waiting:
                child.close()
            self._waiting.clear()
            self._control.close()
            while self._ending:
                os.close(self._ending.popleft())


class Child:
    """One process that tests one candidate, and is gone."""

    def __init__(self, channel: socket.socket, door: Door) -> None:
        self._channel, self._door = channel, door
        self._token = ""
        self._cell = -1
        self._ending: Ending | None = None
        self._left = _MOST_BYTES
        self._unfit = ""

    def close(self) -> None:
        """Ends it, and all that it started; it is not waited for."""
        self._channel.close()
        if self._cell >= 0:
            with suppress(OSError):  # its first process would see the end too, once it has its turn
                signal.pidfd_send_signal(self._cell, signal.SIGKILL)
            self._door.ends(self._cell)
            self._cell = -1

    def test(
        self,
        trial: Trial,
        transcript: Transcript,
        nonce: str,
        *,
        stop: Callable[[], bool],
    ) -> Ending:
        """Runs the trial; its messages go to the transcript. stop: looked at often; True ends
        it, as 'abort'. Raises UnfitError where this level cannot test it, ShortError."""
        try:
            self._await_cell(stop)
            if not self._token:
                return Ending("abort")
            self._ask(trial, nonce)
            self._door.fill()
            deadline = time.monotonic() + trial.timeout
            return self._listen(transcript, nonce, deadline, stop)
        finally:
            self.close()

    def _await_cell(self, stop: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START
        while not stop():
            said, pid = self._first(_POLL)
            if said is None:
                if time.monotonic() > deadline:
                    raise UnfitError("the server gave no child in time")
                continue
            if not said:
                raise UnfitError(self._door.why or "the server's child died before its time")
            kind, words, memory = _fields(said, 3)
            if kind != "cell" or not memory.isdigit():
                raise UnfitError(f"a child could not be isolated: {words}")
            self._token, self._door.memory = words, int(memory)
            with suppress(OSError):  # it has ended
                self._cell = os.pidfd_open(pid)
            return

    def _first(self, seconds: float) -> tuple[bytes | None, int]:
        """The first message, as _receive, with the pid of who sent it."""
        if not select.select([self._channel], [], [], seconds)[0]:
            return None, 0
        try:
            size = socket.CMSG_SPACE(_CREDENTIALS.size)
            said, ancillary, _, _ = self._channel.recvmsg(_LONGEST, size)
        except OSError:
            return b"", 0
        pids = (
            _CREDENTIALS.unpack(content)[0]
            for _, kind, content in ancillary
            if kind == _SCM_CREDENTIALS and len(content) == _CREDENTIALS.size
        )
        return said, next(pids, 0)

    def _receive(self, seconds: float) -> bytes | None:
        """The next message; None where none comes in time, b'' at the end."""
        if not select.select([self._channel], [], [], seconds)[0]:
            return None
        try:
            return self._channel.recv(_LONGEST)
        except OSError:
            return b""

    def _ask(self, trial: Trial, nonce: str) -> None:
        request: dict[str, Any] = {
            "nonce": nonce,
            "files": list(trial.files),
            "stale": list(trial.stale),
            "wanted": list(trial.wanted),
            "arguments": list(trial.arguments),
            "cpu": trial.cpu,
            "unwanted": [],
            "order": trial.order,
        }
        handle = os.memfd_create("request")
        with os.fdopen(handle, "wb") as file:
            file.write(marshal.dumps(request, 2))
            file.flush()
            with suppress(OSError):  # it is gone: the end of the channel says so
                socket.send_fds(self._channel, [b"go"], [handle])

    def _listen(
        self, transcript: Transcript, nonce: str, deadline: float, stop: Callable[[], bool]
    ) -> Ending:
        while True:
            message = self._receive(min(_POLL, max(0.0, deadline - time.monotonic())))
            if message == b"":
                return self._ending or Ending("signal", 9)
            if message is not None:
                self._left -= len(message)
                self._take(message, transcript, nonce)
                if self._unfit:
                    raise UnfitError(self._unfit)
            if self._ending is not None or transcript.status is not None:
                return self._ending or Ending("exit")
            if self._left < 0:
                return Ending("signal", 9, "it reported too much")
            if stop():
                return Ending("abort")
            if time.monotonic() > deadline:
                return Ending("timeout")

    def _take(self, message: bytes, transcript: Transcript, nonce: str) -> None:
        """One message: of pid 1 of the cell, which the candidate cannot speak for, or else of
        the test process."""
        token, kind, value = _fields(message[:200], 3)
        if secrets.compare_digest(token.encode(), self._token.encode()):
            if kind == "short":
                raise ShortError
            self._ending = Ending(kind, int(value))
            return
        transcript.receive(message)
        self._unfit = transcript.unfit


def _fields(message: bytes, count: int) -> list[str]:
    """The first fields of a message, '' for those it lacks."""
    found = message.decode("utf-8", "replace").split(SEPARATOR)
    return (found + [""] * count)[:count]
