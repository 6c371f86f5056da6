"""The sandbox's own examination, run inside it in place of a candidate.

A layer that cannot be shown to hold is not claimed. Standard library only; everything it needs
is imported before the sandbox closes.
"""

from __future__ import annotations

import _socket
import errno
import marshal
import os
from collections.abc import Callable
from typing import Any

from p2assist.harness import syscalls

Check = tuple[str, bool, str]  # layer, whether it holds, detail
_PR_GET_SECCOMP, _PR_GET_NO_NEW_PRIVS = 21, 39


def report(channel: int, spec: dict[str, Any]) -> None:
    """Writes the checks' results, marshalled, to the channel."""
    found = [(name, *_result(check, spec)) for name, check in _CHECKS]
    os.write(channel, marshal.dumps(found))


def _result(check: Callable[[dict[str, Any]], str], spec: dict[str, Any]) -> tuple[bool, str]:
    """A check returns a detail where the layer holds and raises where it does not."""
    try:
        return True, check(spec)
    except _LeakError as leak:
        return False, str(leak)
    except OSError as error:
        return False, f"cannot be examined: {error}"


class _LeakError(Exception):
    """What should have been refused was not."""


def _refused(what: str, act: Callable[[], object]) -> None:
    try:
        act()
    except OSError:
        return
    raise _LeakError(f"{what} is possible")


def _files(spec: dict[str, Any]) -> str:
    canary = spec["canary"]
    _refused("reading outside the repository", lambda: os.open(canary, os.O_RDONLY))
    _refused("writing to the system", lambda: os.open("/usr/p2assist", os.O_CREAT | os.O_WRONLY))
    try:  # a scratch file system may stand there: the caller looks whether it came through
        os.close(os.open(f"{canary}.new", os.O_CREAT | os.O_WRONLY))
    except OSError:
        return "nothing outside can be read or written"
    return "what is not allowed by name cannot be read; nothing outside can be written"


def _throw_away(spec: dict[str, Any]) -> str:
    os.close(os.open(f"{spec['cwd']}/written", os.O_CREAT | os.O_WRONLY, 0o600))
    if spec["cwd"] == spec["root"]:
        return "the repository is under an overlay at its own path; writes are thrown away"
    return "the repository is a copy; writes are thrown away"


def _processes(spec: dict[str, Any]) -> str:
    _refused("signalling other processes", lambda: os.kill(spec["caller"], 0))
    path = f"/proc/{spec['caller']}/environ"
    _refused("reading another process's environment", lambda: os.open(path, os.O_RDONLY))
    return "other processes cannot be seen or signalled; all are killed at the end"


def _network(spec: dict[str, Any]) -> str:
    def reach(family: int, kind: int, address: Any) -> None:
        handle = _socket.socket(family, kind)
        try:
            handle.connect(address)
        finally:
            handle.close()

    far = ("192.0.2.1", 9)  # a documentation address: UDP's connect only asks for a route
    _refused("the network", lambda: reach(_socket.AF_INET, _socket.SOCK_DGRAM, far))
    local = spec["canary_socket"]
    _refused("a Unix socket outside", lambda: reach(_socket.AF_UNIX, _socket.SOCK_STREAM, local))
    return "no route, no host's Unix sockets"


def _privileges(spec: dict[str, Any]) -> str:
    if syscalls.libc().prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1:
        raise _LeakError("new privileges are possible")
    _refused("changing the root", lambda: os.chroot("/"))
    return "no capabilities but root's own over files, and none to be had"


def _calls(spec: dict[str, Any]) -> str:
    if syscalls.libc().prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) != 2:
        raise _LeakError("no filter is in place")
    try:
        syscalls.unshare(syscalls.NEW_USER)
    except OSError as error:
        if error.errno == errno.EPERM:
            return "seccomp refuses what breaks out"
    raise _LeakError("the filter lets unshare through")


_CHECKS: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
    ("files", _files),
    ("throw-away tree", _throw_away),
    ("processes", _processes),
    ("network", _network),
    ("privileges", _privileges),
    ("system calls", _calls),
)
