"""What isolates candidates on this machine, and how a command is run inside it.

Three names: 'namespaces' (a root of its own: see namespaces.py), 'landlock' (a copied tree under
an allow-list, no sockets) and 'none', which is the user's explicit wish and protects nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import marshal
import os
import secrets
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from p2assist.errors import HarnessError, IsolationError
from p2assist.harness import landlock
from p2assist.harness.remedies import Machine

Files = tuple[tuple[str, bytes], ...]  # path below the root, content


class Stop(Protocol):
    """What is looked at, often, to know whether to end early: a threading.Event, for one."""

    def is_set(self) -> bool: ...


SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives"),
    *("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf"),
    *("/etc/localtime", "/etc/timezone", "/etc/os-release", "/etc/mime.types", "/etc/protocols"),
    *("/etc/services", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates"),
)
# What Landlock lets through besides: devices, and facts about the machine.
_LANDLOCK_READ = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/dev/random", "/dev/urandom")
_LANDLOCK_WRITE = ("/dev/null", "/dev/zero", "/dev/full")
_ABSENT = ("__pycache__", ".git", ".hg", ".tox", ".nox", "node_modules", ".venv", "venv")
_KEPT_OUTPUT = 64 << 10  # bytes of the command's output that are kept, from the end
_PROCESSES = 400  # processes and threads of one run
_SCRATCH_MB = 192  # each of the throw-away file systems, in memory
_GRACE = 30.0  # seconds after which a launcher that does not answer is killed
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True, slots=True)
class Layer:
    """One thing that the isolation promises, and whether it was seen to hold here. remedy: what
    a person can do where it does not; '' otherwise."""

    name: str
    holds: bool
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Isolation:
    """What candidates run in. name: 'namespaces', 'landlock' or 'none'."""

    name: str
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run happens, as the command inside sees it. stage: the folder on the host that
    holds the copy, '' where there is none."""

    root: str
    home: str
    scratch: str
    stage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What stays the same from candidate to candidate.

    root: the repository. read: further paths that exist inside, read-only. hidden: paths below
    root that do not. memory_mb: address space of each process.
    """

    isolation: Isolation
    root: Path
    read: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    memory_mb: int = 4096

    def place(self) -> Place:
        """A place for one run; nothing is created yet."""
        if self.isolation.name == "namespaces":
            return Place(str(self.root), "/tmp/home", "/tmp")  # noqa: S108 - the sandbox's own
        stage = f"{tempfile.gettempdir()}/p2assist-{secrets.token_hex(8)}"
        return Place(f"{stage}/{self.root.name}", f"{stage}/home", f"{stage}/home", stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One run. files: laid over the repository; stale: sources below root whose compiled forms
    must not be used; compiled: a file of compiled forms to lay over it, '' for none. stdin: what
    the command reads. timeout, cpu: seconds of wall clock and of processor time. output: whether
    to keep what it prints. channel: called with the number of the descriptor that messages may
    be written to, it gives stdin."""

    argv: tuple[str, ...]
    env: dict[str, str]
    place: Place
    request: Callable[[int], bytes] = field(default=lambda channel: b"")
    files: Files = ()
    stale: tuple[str, ...] = ()
    compiled: str = ""
    timeout: float = 60.0
    cpu: int = 60
    output: bool = False
    most_bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Ending:
    """How the command ended: 'exit' (value: its status), 'signal' (value: which), 'timeout',
    'abort' or 'setup' (words: what the sandbox could not do). output: the end of what it
    printed."""

    how: str
    value: int = 0
    words: str = ""
    output: str = ""


def run(
    box: Box,
    command: Command,
    *,
    receive: Callable[[bytes], None] = lambda message: None,
    stop: Stop | None = None,
) -> Ending:
    """Runs the command in the box and hands each message from its channel to receive.

    Nothing is left behind, however it ends. stop: set it to end the run early, as 'abort'.
    Raises HarnessError where the launcher itself fails.
    """
    return _launch(box, command, receive, stop or threading.Event(), {})


def _launch(
    box: Box,
    command: Command,
    receive: Callable[[bytes], None],
    stop: Stop,
    extra: dict[str, Any],
) -> Ending:
    with ExitStack() as stack:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stack.callback(ours.close)
        stack.callback(theirs.close)
        heard, told = _pipe(stack) if command.output else (-1, -1)
        handles = [handle for handle in (theirs.fileno(), told) if handle >= 0]
        spec = _specification(box, command, theirs.fileno(), told, handles) | extra
        launcher = stack.enter_context(_launcher(spec, handles))
        theirs.close()
        if told >= 0:
            os.close(told)
        listener = _Listener(ours, heard, launcher, receive, command.most_bytes)
        answer = listener.listen(time.monotonic() + command.timeout + _GRACE, stop)
        ending = _ending(answer, listener.output)
        if listener.flooded:
            return dataclasses.replace(ending, how="signal", words="it reported too much")
        return ending


@contextmanager
def serving(
    box: Box, command: Command, *, handles: list[int], builder: int
) -> Iterator[subprocess.Popen[bytes]]:
    """The launcher of a command that serves until the context is left: see cells.py. handles:
    descriptors that it gets, at their own numbers; builder: the one of them over which its cells
    are asked for, which stays with the sandbox's pid 1. Needs namespaces."""
    spec = _specification(box, command, -1, -1, handles) | {"builder": builder}
    with _launcher(spec, handles) as launcher:
        yield launcher


def _pipe(stack: ExitStack) -> tuple[int, int]:
    heard, told = os.pipe()
    stack.callback(os.close, heard)
    return heard, told


@contextmanager
def _launcher(spec: dict[str, Any], handles: list[int]) -> Iterator[subprocess.Popen[bytes]]:
    """The launcher's process with its specification; closing its standard input ends it."""
    boot = (
        f"import sys; sys.path.append({_PACKAGE_ROOT!r}); "
        "from p2assist.harness.launch import main; main()"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", boot],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        pass_fds=handles,
        cwd="/",
        env={},
        start_new_session=True,
    )
    assert launcher.stdin and launcher.stdout
    try:
        content = marshal.dumps(spec)
        _write_all(launcher.stdin.fileno(), len(content).to_bytes(8, sys.byteorder) + content)
        yield launcher
    finally:
        launcher.stdin.close()
        try:
            launcher.wait(_GRACE)
        except subprocess.TimeoutExpired:
            launcher.kill()
            launcher.wait()
        launcher.stdout.close()


def _write_all(handle: int, content: bytes) -> None:
    view = memoryview(content)
    try:
        while view:
            view = view[os.write(handle, view) :]
    except BrokenPipeError:
        pass  # the launcher died at once; its answer says why


class _Listener:
    """Takes in what a run says, from all its sources, until the launcher has answered."""

    def __init__(
        self,
        channel: socket.socket,
        heard: int,
        launcher: subprocess.Popen[bytes],
        receive: Callable[[bytes], None],
        most_bytes: int,
    ) -> None:
        assert launcher.stdin and launcher.stdout
        self._channel, self._heard, self._receive = channel, heard, receive
        self._lifeline, self._answers = launcher.stdin, launcher.stdout
        self._left = most_bytes
        self.output = b""
        channel.setblocking(False)

    def listen(self, deadline: float, stop: Stop) -> bytes:
        """The launcher's answer."""
        poller = select.poll()
        for handle in (self._channel.fileno(), self._heard, self._answers.fileno()):
            if handle >= 0:
                poller.register(handle, select.POLLIN)
        answer = b""
        while True:
            for handle, _ in poller.poll(100):
                if handle == self._channel.fileno():
                    if not self._drain():
                        poller.unregister(handle)
                elif handle == self._heard:
                    if not self._hear():
                        poller.unregister(handle)
                elif part := self._answers.read(1 << 16):
                    answer += part
                else:
                    self._drain()
                    return answer
            if stop.is_set() or self._left < 0 or time.monotonic() > deadline:
                self._lifeline.close()

    @property
    def flooded(self) -> bool:
        """Whether it said more than it may, and was ended for it."""
        return self._left < 0

    def _drain(self) -> bool:
        """Receives what is there; whether there can be more."""
        while self._left >= 0:
            try:
                message = self._channel.recv(1 << 18)
            except BlockingIOError:
                return True
            except ConnectionResetError:
                return False
            if not message:
                return False
            self._left -= len(message)
            self._receive(message)
        return False

    def _hear(self) -> bool:
        part = os.read(self._heard, 1 << 16)
        self.output = (self.output + part)[-_KEPT_OUTPUT:]
        return bool(part)


def _specification(
    box: Box, command: Command, channel: int, output: int, handles: list[int]
) -> dict[str, Any]:
    mode, place = box.isolation.name, command.place
    landlocked = mode == "landlock"
    return {
        "mode": mode,
        "root": str(box.root),
        "cwd": place.root,
        "stage": place.stage,
        "read": [*SYSTEM, *box.read, *(_LANDLOCK_READ if landlocked else ())],
        "write": [*((place.stage,) if landlocked else ()), *_LANDLOCK_WRITE],
        "uncopied": list(_ABSENT),
        "hidden": list(box.hidden),
        "files": list(command.files),
        "stale": list(command.stale),
        "compiled": command.compiled,
        "argv": list(command.argv),
        "env": command.env,
        "stdin": command.request(channel),
        "channel": channel,
        "output": output,
        "handles": handles,
        "timeout": command.timeout,
        "cpu": command.cpu,
        "memory": box.memory_mb << 20,
        "processes": _PROCESSES,
        "scratch_mb": _SCRATCH_MB,
        "selftest": False,
        "builder": -1,
    }


def _ending(answer: bytes, output: bytes) -> Ending:
    printed = output.decode("utf-8", "replace")
    try:
        how, value, words = marshal.loads(answer)  # noqa: S302 - from our own launcher
    except (ValueError, EOFError, TypeError) as error:
        said = answer.decode("utf-8", "replace").strip().splitlines()
        raise HarnessError(
            f"the sandbox's launcher failed: {said[-1] if said else 'it said nothing'}"
        ) from error
    return Ending(how, value, words, printed)


def detect(wanted: str = "auto") -> Isolation:
    """The strongest isolation that was just seen to hold here; examined once per process.

    wanted: 'auto', or one name. Raises IsolationError where nothing does, saying for each what
    failed and what would help.
    """
    if wanted == "none":
        return Isolation("none", (Layer("everything", False, "switched off by the user"),))
    tried = []
    for name in ("namespaces", "landlock") if wanted == "auto" else (wanted,):
        isolation = examine(name)
        if all(layer.holds for layer in isolation.layers):
            return isolation
        tried += [f"{name}: {la.name}: {la.detail}" for la in isolation.layers if not la.holds]
    raise IsolationError(
        "nothing on this machine isolates a candidate, so none is run. "
        + "; ".join(tried)
        + f'. {_remedy()} `p2assist doctor` shows more; isolation = "none" in your own settings '
        "runs candidates unprotected"
    )


@functools.cache
def examine(name: str) -> Isolation:
    """The isolation of that name with every layer tried from inside, whether it holds or not."""
    if sys.platform != "linux":
        return Isolation(name, (Layer(name, False, "it exists on Linux alone", _remedy()),))
    try:
        if name == "landlock":
            landlock.version()
        found = _examination(name)
    except (OSError, HarnessError) as error:
        return Isolation(name, (Layer(name, False, str(error), _remedy()),))
    layers = (Layer(n, holds, detail, "" if holds else _remedy()) for n, holds, detail in found)
    return Isolation(name, tuple(layers))


def _examination(name: str) -> list[tuple[str, bool, str]]:
    """Runs selftest.py in a box with canaries around it."""
    messages: list[bytes] = []
    with tempfile.TemporaryDirectory(prefix="p2assist-") as folder, ExitStack() as stack:
        root = Path(folder).resolve() / "root"
        root.mkdir()
        canary = root.parent / "canary"
        canary.write_text("secret")
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(f"{folder}/socket")
        listening.listen(1)
        box = Box(isolation=Isolation(name), root=root)
        place = box.place()
        command = Command(argv=(), env={"HOME": place.home}, place=place, timeout=20)
        extra = {
            "selftest": True,
            "canary": str(canary),
            "canary_socket": f"{folder}/socket",
            "caller": os.getpid(),
        }
        ending = _launch(box, command, messages.append, threading.Event(), extra)
        if not messages:
            raise HarnessError(ending.words or f"it ended by {ending.how} {ending.value}")
        found: list[tuple[str, bool, str]] = marshal.loads(messages[0])  # noqa: S302
        if any(root.iterdir()) or canary.with_suffix(".new").exists():
            found.append(("throw-away tree", False, "a write reached the host"))
    return found


def _remedy() -> str:
    return Machine.here().remedy
