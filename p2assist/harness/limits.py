"""What one test process may use up, and the privileges that it gives away."""

# Pathlib costs every start of the launcher some milliseconds.
# ruff: noqa: PTH123
from __future__ import annotations

import os
import resource
import struct
from collections.abc import Iterable

from p2assist.harness import syscalls

FILE_BYTES = 64 << 20
OPEN_FILES = 512
_CAPABILITIES = 64  # more than any kernel has
_DAC_OVERRIDE, _SETPCAP, _NET_ADMIN, _SYS_ADMIN = 1, 8, 12, 21
_PR_CAP_AMBIENT, _RAISE = 47, 2


def limit(*, cpu: int, memory: int) -> None:
    """Resource limits of this process. cpu: seconds (SIGXCPU, a second later SIGKILL); memory:
    bytes of address space."""
    for what, soft, hard in (
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_FSIZE, FILE_BYTES, FILE_BYTES),
        (resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        ceiling = resource.getrlimit(what)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(what, (soft, hard))


def held(pids: Iterable[str | int], most: int) -> int:
    """Bytes of memory that the processes hold together. What they share (a fork's pages) is
    counted once, by each one's share, where a quick sum is above most."""
    known = list(pids)
    quick = sum(_resident(pid) for pid in known)
    return quick if quick <= most else sum(_share(pid) for pid in known)


def _resident(pid: str | int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):  # it ended meanwhile
        return 0


def _share(pid: str | int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            lines = [line.split() for line in file if line.startswith(b"Pss:")]
        return int(lines[0][1]) << 10
    except (OSError, IndexError):  # it ended, or hides
        return _resident(pid)


def limit_processes(count: int) -> None:
    """Caps processes and threads of this user in this user namespace; root is exempt."""
    ceiling = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    count = count if ceiling == resource.RLIM_INFINITY else min(count, ceiling)
    resource.setrlimit(resource.RLIMIT_NPROC, (count, count))


def drop_capabilities(*, own_root: bool) -> None:
    """Gives away every capability, for this process and all it executes.

    own_root: whether the process has a root of its own. There root keeps one capability, to
    write files of other owners: all that it could write elsewhere is mounted read-only or not
    at all, and tests that root runs expect to be able to.
    """
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    kept = {_DAC_OVERRIDE} if own_root and os.geteuid() == 0 else set()
    _keep(kept, inherited=False)


def keep_for_serving() -> None:
    """Gives away every capability but those by which the warm server gives its children
    namespaces and their loopback interface; they survive execve. To be called in a user
    namespace of the server's own, where they reach nothing outside."""
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    kept = {_SETPCAP, _NET_ADMIN, _SYS_ADMIN} | ({_DAC_OVERRIDE} if os.geteuid() == 0 else set())
    _keep(kept, inherited=True)
    for capability in kept:
        syscalls.prctl(_PR_CAP_AMBIENT, _RAISE, capability)


def _keep(kept: set[int], *, inherited: bool) -> None:
    for capability in set(range(_CAPABILITIES)) - kept:
        try:
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)
        except OSError:  # the kernel knows no more of them, or there is nothing to drop
            break
    mask = sum(1 << capability for capability in kept)
    also = mask if inherited else 0
    head = struct.pack("=Ii", 0x20080522, 0)
    syscalls.call("capset", head, struct.pack("=6I", mask, mask, also, 0, 0, 0))
