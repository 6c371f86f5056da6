"""Inside the warm server: how it starts a child in a cell of its own (see cells.py).

Standard library and Python 3.8 or newer; its text is handed to the project's interpreter. A child
is two processes: pid 1 of the cell, which ends everything in it when the caller's end of the
channel closes, and the test process, which gives away what privileges it has and then waits for
its candidate. Neither is used twice.
"""

# ruff: noqa: PTH123, PTH208, UP035
from __future__ import annotations

import ctypes
import fcntl
import marshal
import os
import resource
import select
import signal
import struct
import sys
from contextlib import suppress
from socket import AF_INET, CMSG_SPACE, SCM_RIGHTS, SOCK_DGRAM, SOL_SOCKET, socket
from typing import Any, Callable

_NEW_NS, _NEW_IPC, _NEW_PID, _NEW_NET = 0x20000, 0x8000000, 0x20000000, 0x40000000
_PR_PDEATHSIG, _PR_DUMPABLE, _PR_SECCOMP, _PR_CAPBSET_DROP, _PR_NO_NEW_PRIVS = 1, 4, 22, 24, 38
_PR_CAP_AMBIENT, _CLEAR_ALL = 47, 4
_DAC_OVERRIDE = 1
_CAPSET = {"x86_64": 126, "aarch64": 91}
_SETNS = {"x86_64": 308, "aarch64": 268}
_FURNISHED, _FURNISHED_UNCAPPED = b"+", b"-"
_LONGEST = 1 << 16
_TICK = 100  # milliseconds between two looks at the memory of a cell
_MOST_REAPED = 100  # between two looks at the caller: a fork bomb has always more
_FLOOR, _HOG = 16, 16  # the machine's memory by these: what has to stay, what is much for a cell


class Control:
    """The caller's side of one server process: spawns a child for each message that comes in,
    which brings the child's channel. It ends when the caller goes away.

    body: what the test process does with the request that the channel brings; it may return, to
    go on where the server stood. settings: `builder` (descriptor), `seccomp` (the filter's
    bytes), `processes` (most in a cell).
    """

    def __init__(self, handle: int, settings: Any, body: Callable[[int, Any], None]) -> None:
        self._handle, self._settings, self._body = handle, settings, body
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._own = os.open("/proc/self/ns/pid", os.O_RDONLY)
        self._socket = socket(fileno=handle)
        self._wake, self._wakeup = _wake_pipe()

    @property
    def handles(self) -> Any:
        """The descriptors that are the server's own."""
        return {self._handle, self._own, self._wake, self._wakeup, self._settings["builder"]}

    def close(self) -> None:
        """For a process that serves elsewhere."""
        self._socket.detach()
        for handle in (self._handle, self._own, self._wake, self._wakeup):
            os.close(handle)

    def say(self, *fields: Any) -> None:
        """Tells the caller."""
        self._socket.send(_joined(fields))

    def serve(self, idle: Any = ()) -> None:
        """Returns in test processes alone. idle: steps to take while there is nothing to do."""
        steps = iter(idle)
        left = True
        before = self._watch_children()
        poller = select.poll()
        poller.register(self._handle, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        while True:
            ready = poller.poll(0 if left else None)
            if not ready:
                left = next(steps, self) is not self
            for handle, _ in ready:
                if handle == self._wake:
                    _drained(self._wake)
                    _reap()
                elif self._spawn():
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, before)
                    return

    def _watch_children(self) -> Any:
        before = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        return before

    def _spawn(self) -> bool:
        """Starts a child for the next message; True in its test process, when it has a request
        and its body has returned."""
        data, handles = receive(self._socket)
        if not data:
            os._exit(0)
        if not handles:
            return False
        memory = _resident()
        self._check(self._libc.unshare(_NEW_PID), "unshare")
        child = os.fork()
        if child:
            self._check(self._libc.syscall(_SETNS[_machine()], self._own, _NEW_PID), "setns")
            os.close(handles[0])
            return False
        try:
            return self._be_first(handles[0], memory)
        except BaseException as error:  # a fork must not go on as if it were the server
            _say(handles[0], "broken", type(error).__name__ + ": " + str(error))
            os._exit(1)

    def _be_first(self, channel: int, memory: int) -> bool:
        """Pid 1 of the new cell."""
        os.setsid()
        self._socket.detach()
        for handle in (self._own, self._handle, self._wake, self._wakeup):
            os.close(handle)
        self._wake, self._wakeup = _wake_pipe()  # the server's would wake the server
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        self._check(self._libc.unshare(_NEW_NS | _NEW_IPC | _NEW_NET), "unshare")
        _loopback()
        capped = self._furnished()
        tell = os.dup(channel)
        child = os.fork()
        if child == 0:
            os.close(tell)
            return self._be_tested(channel)
        self._libc.prctl(_PR_DUMPABLE, 0, 0, 0, 0)
        os.close(channel)
        token = os.urandom(16).hex()
        _say(tell, "cell", token, memory)
        kind, value = self._until_end(child, tell, 0 if capped else self._settings["processes"])
        _say(tell, token, kind, value)
        os._exit(0)

    def _furnished(self) -> bool:
        """Asks the builder for the cell's mounts; whether the kernel caps its processes."""
        ours, theirs = os.pipe()
        with socket(fileno=os.dup(self._settings["builder"])) as builder:
            builder.sendmsg([b"furnish"], [(SOL_SOCKET, SCM_RIGHTS, struct.pack("=i", theirs))])
        os.close(theirs)
        answer = os.read(ours, 4096)
        os.close(ours)
        os.close(self._settings["builder"])
        if answer not in (_FURNISHED, _FURNISHED_UNCAPPED):
            raise OSError(answer.decode("utf-8", "replace"))
        return answer == _FURNISHED

    def _until_end(self, child: int, channel: int, most: int) -> Any:
        """Reaps until the child has ended: how it did. The end of the caller is the cell's. most:
        number of processes that ends it, 0 for no count. What all of them hold may be as much as
        one may address; where the machine has little left, no cell may hold much ('short')."""
        memory = resource.getrlimit(resource.RLIMIT_AS)[0]
        if memory == resource.RLIM_INFINITY:
            memory = sys.maxsize
        poller = select.poll()
        poller.register(channel, 0)
        poller.register(self._wake, select.POLLIN)
        while True:
            for handle, _ in poller.poll(10 if most else _TICK):
                if handle == channel:
                    os._exit(0)
                _drained(self._wake)
            for _ in range(_MOST_REAPED):
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == child and os.WIFSIGNALED(status):
                    return "signal", os.WTERMSIG(status)
                if pid == child:
                    return "exit", os.WEXITSTATUS(status)
                if not pid:
                    break
            below = [entry for entry in os.listdir("/proc") if entry.isdigit()]
            held = _held(below, memory)
            if (most and len(below) > most) or held > memory:
                return "signal", int(signal.SIGKILL)
            if _short(held):
                return "short", 0

    def _be_tested(self, channel: int) -> bool:
        """The test process: waits for its request."""
        for handle in (self._wake, self._wakeup):
            os.close(handle)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._libc.prctl(_PR_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        self._confine()
        with socket(fileno=os.dup(channel)) as end:
            data, handles = receive(end)
        if not data or not handles:
            os._exit(0)
        with open(handles[0], "rb") as file:
            file.seek(0)
            request = marshal.loads(file.read())  # noqa: S302 - from the caller
        resource.setrlimit(resource.RLIMIT_CPU, (request["cpu"], request["cpu"] + 1))
        os.set_inheritable(channel, False)
        self._body(channel, request)
        return True

    def _confine(self) -> None:
        """Gives away every privilege: see limits.drop_capabilities, whose twin this is."""
        self._check(self._libc.prctl(_PR_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
        kept = _DAC_OVERRIDE if os.geteuid() == 0 else -1
        self._check(self._libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0), "ambient")
        for capability in range(64):
            if capability != kept and self._libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
                break  # the kernel knows no more of them
        mask = 1 << kept if kept >= 0 else 0
        head, body = struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", mask, mask, 0, 0, 0, 0)
        self._check(self._libc.syscall(_CAPSET[_machine()], head, body), "capset")
        steps = self._settings["seccomp"]
        code = ctypes.create_string_buffer(steps)
        head = struct.pack("@HP", len(steps) // 8, ctypes.addressof(code))
        buffer = ctypes.create_string_buffer(head)
        self._check(self._libc.prctl(_PR_SECCOMP, 2, buffer, 0, 0), "seccomp")

    @staticmethod
    def _check(result: int, what: str) -> None:
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, what + ": " + os.strerror(code))


def receive(end: Any) -> Any:
    """A message and the descriptors that came with it."""
    data, ancillary, _, _ = end.recvmsg(_LONGEST, CMSG_SPACE(16))
    handles: list[int] = []
    for level, kind, content in ancillary:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            count = len(content) // 4
            handles += struct.unpack("=" + str(count) + "i", content[: 4 * count])
    return data, handles


def _say(channel: int, *fields: Any) -> None:
    with suppress(OSError):  # nobody listens any more
        os.write(channel, _joined(fields))


def _joined(fields: Any) -> bytes:
    """As worker.py joins them: what is read outside is text alone, because who says it is not
    trusted."""
    return "\x1f".join(str(field) for field in fields).encode("utf-8", "replace")


def _wake_pipe() -> Any:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


def _drained(handle: int) -> None:
    with suppress(BlockingIOError):
        os.read(handle, 4096)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _held(pids: Any, most: int) -> int:
    """Bytes that the processes hold together: see limits.held, whose twin this is."""
    quick = sum(_resident(pid) for pid in pids)
    return quick if quick <= most else sum(_share(pid) for pid in pids)


def _short(held: int) -> bool:
    """Whether the machine has little memory left, and a cell that holds so many bytes much of
    it."""
    try:
        with open("/proc/meminfo", "rb") as file:
            lines = dict(line.split(b":") for line in file.read().splitlines())
        total, left = (int(lines[name].split()[0]) << 10 for name in (b"MemTotal", b"MemAvailable"))
    except (OSError, KeyError, ValueError):
        return False
    return left * _FLOOR < total < held * _HOG


def _resident(pid: str = "self") -> int:
    """Bytes of memory that a process holds; 0 where it has ended."""
    try:
        with open("/proc/" + pid + "/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _share(pid: str) -> int:
    try:
        with open("/proc/" + pid + "/smaps_rollup", "rb") as file:
            lines = [line.split() for line in file if line.startswith(b"Pss:")]
        return int(lines[0][1]) << 10
    except (OSError, IndexError):  # it ended, or hides
        return _resident(pid)


def _loopback() -> None:
    up = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
    with socket(AF_INET, SOCK_DGRAM) as end:
        fcntl.ioctl(end.fileno(), 0x8914, up)  # SIOCSIFFLAGS


def _machine() -> str:
    return os.uname().machine


def python_version() -> str:
    """Of the interpreter that this runs under, for messages."""
    return ".".join(str(part) for part in sys.version_info[:3])
