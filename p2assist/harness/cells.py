"""Cells: a throw-away world for each child of the warm server, built inside its sandbox.

The server has run the project's code, so it is not trusted to mount anything: its filter refuses
it, and what is mounted is locked for it by a user namespace of its own. It may give a child new
namespaces; the child asks the builder, which is pid 1 of the sandbox, to furnish them: the
repository under an overlay of its own, empty scratch folders, a /proc that shows its processes
alone. Standard library only; runs in the launcher.
"""

# Pathlib costs every start of the launcher some milliseconds.
# ruff: noqa: PTH103, PTH112, PTH114, PTH115, PTH120, PTH211
from __future__ import annotations

import _socket
import os
import select
import signal
import struct
from contextlib import suppress
from typing import Any

from p2assist.harness import limits, namespaces, seccomp, syscalls
from p2assist.harness.syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REC

MOST = 16  # cells at a time, for which the sandbox's own cap of processes is made
FURNISHED, FURNISHED_UNCAPPED = b"+", b"-"  # answers; any other is words on what failed
_SO_PASSCRED, _SCM_CREDENTIALS = 16, 2
_CREDENTIALS = struct.Struct("=iII")
_SCRATCH = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108
_LAYER = "/dev/shm/.layer"  # noqa: S108


class Builder:
    """Pid 1 of a warm server's sandbox. spec: see sandbox.py."""

    def __init__(self, spec: dict[str, Any], proc: int) -> None:
        self._spec, self._proc = spec, proc
        self._requests = _socket.socket(fileno=spec["builder"])
        self._requests.setsockopt(_socket.SOL_SOCKET, _SO_PASSCRED, 1)
        self._left, self._tell_left = os.pipe()
        self._wait_mapped, self._mapped = os.pipe()

    def leave(self) -> None:
        """For the server's process, before it is executed: moves it into a user namespace of
        its own, in which everything mounted so far is locked, and makes it pid 1 of a pid
        namespace that it owns. Returns in that process alone."""
        os.close(self._left)
        os.close(self._mapped)
        syscalls.unshare(syscalls.NEW_USER | syscalls.NEW_NS | syscalls.NEW_PID)
        os.write(self._tell_left, b".")
        os.close(self._tell_left)
        if not os.read(self._wait_mapped, 1):
            raise OSError("the ids of the server's user namespace cannot be set")
        os.close(self._wait_mapped)
        os.close(self._proc)
        if child := os.fork():
            os.closerange(0, 256)
            status = os.waitpid(child, 0)[1]
            os._exit(128 + status if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)

    @staticmethod
    def confine() -> None:
        """The server's privileges, as few as can be."""
        limits.keep_for_serving()
        seccomp.apply((), serving=True)

    def serve(self, child: int) -> int:
        """Furnishes cells until the child, the server, has ended; its wait status."""
        os.close(self._tell_left)
        os.close(self._wait_mapped)
        if os.read(self._left, 1):
            for name in ("uid_map", "gid_map"):
                content = namespaces.identity(name)
                target = os.open(f"{child}/{name}", os.O_WRONLY, dir_fd=self._proc)
                os.write(target, content.encode())
                os.close(target)
            os.write(self._mapped, b".")
        os.close(self._mapped)
        return self._loop(child)

    def _loop(self, child: int) -> int:
        wake, wakeup = os.pipe()
        os.set_blocking(wakeup, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        poller = select.poll()
        poller.register(wake, select.POLLIN)
        poller.register(self._requests.fileno(), select.POLLIN)
        while True:
            for handle, _ in poller.poll():
                if handle == wake:
                    os.read(wake, 4096)
                elif not self._answer():
                    poller.unregister(handle)
            while (ended := _reaped())[0]:
                if ended[0] == child:
                    return ended[1]

    def _answer(self) -> bool:
        """Furnishes one cell; whether there can be more requests."""
        size = _socket.CMSG_SPACE(_CREDENTIALS.size) + _socket.CMSG_SPACE(4)
        try:
            data, ancillary, _, _ = self._requests.recvmsg(16, size)
        except OSError:
            return False
        if not data:
            return False
        asker, reply = 0, -1
        for _, kind, content in ancillary:
            if kind == _SCM_CREDENTIALS:
                asker = _CREDENTIALS.unpack(content[: _CREDENTIALS.size])[0]
            elif kind == _socket.SCM_RIGHTS:
                (reply,) = struct.unpack("=i", content[:4])
        if reply < 0:
            return True
        try:
            answer = self._furnish(asker)
        except OSError as error:
            answer = str(error).encode()
        with suppress(OSError):  # it did not wait for the answer
            os.write(reply, answer)
        os.close(reply)
        return True

    def _furnish(self, asker: int) -> bytes:
        """In a process that joins the asker's namespaces, because this one must stay."""
        heard, told = os.pipe()
        helper = os.fork()
        if helper == 0:
            self._help(asker, told)
        os.close(told)
        os.waitpid(helper, 0)
        answer = os.read(heard, 4096)
        os.close(heard)
        return answer or b"the cell's builder died"

    def _help(self, asker: int, told: int) -> None:
        try:
            for name, kind in (("pid", syscalls.NEW_PID), ("mnt", syscalls.NEW_NS)):
                handle = os.open(f"{asker}/ns/{name}", os.O_RDONLY, dir_fd=self._proc)
                syscalls.call("setns", handle, kind)
                os.close(handle)
            if child := os.fork():
                os.waitpid(child, 0)
                os._exit(0)
            capped = self._cap()
            furnish(self._spec["root"], self._spec["read"], self._spec["env"]["HOME"])
            os.write(told, FURNISHED if capped else FURNISHED_UNCAPPED)
        except BaseException as error:  # nothing may leave this function: it is a fork
            os.write(told, f"a cell cannot be furnished: {error}".encode())
        os._exit(0)

    def _cap(self) -> bool:
        """Whether the kernel caps the processes of the cell, which it does from Linux 6.14 on."""
        if not namespaces.own_pid_max():
            return False
        handle = os.open("sys/kernel/pid_max", os.O_WRONLY, dir_fd=self._proc)
        os.write(handle, namespaces.pid_max(self._spec["processes"]).encode())
        os.close(handle)
        return True


def furnish(root: str, read: list[str], home: str, size_mb: int = 192) -> None:
    """Makes the mounts of this process's mount namespace, a copy of the server's, those of a
    cell. Paths that lie below a scratch folder stay visible in it. Raises OSError."""
    inner = [p for p in namespaces.outermost(read, root) if p.startswith(_INSIDE)]
    kept = [_Kept.of(path) for path in inner if os.path.lexists(path)]
    repository = namespaces.reference(root)
    for path in _SCRATCH:
        namespaces.tmpfs(path, size_mb)
    for one in kept:
        one.restore()
    namespaces.overlay(repository, root, _LAYER, size_mb)
    os.makedirs(home, mode=0o700, exist_ok=True)
    flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC  # the server's, which are locked
    syscalls.mount("proc", "/proc", "proc", flags)


_INSIDE = tuple(f"{path}/" for path in _SCRATCH)


class _Kept:
    """A path below a scratch folder that outlives the new mount over it."""

    def __init__(self, path: str, link: str, handle: int, folder: bool) -> None:
        self._path, self._link, self._handle, self._folder = path, link, handle, folder

    @classmethod
    def of(cls, path: str) -> _Kept:
        link = os.readlink(path) if os.path.islink(path) else ""
        return cls(path, link, namespaces.reference(path), os.path.isdir(path))

    def restore(self) -> None:
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        if self._link:
            os.symlink(self._link, self._path)
            return
        if self._folder:
            os.makedirs(self._path, exist_ok=True)
        else:
            os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o644))
        source = f"/proc/self/fd/{self._handle}"
        syscalls.mount(source, self._path, flags=MS_BIND | MS_REC)


def _reaped() -> tuple[int, int]:
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return (0, 0)
