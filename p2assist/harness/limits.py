"""What one test process may use up, and the privileges that it gives away."""

# ruff: noqa: PTH - pathlib costs every start of the launcher some milliseconds

from __future__ import annotations

import os
import struct

from p2assist.harness import syscalls

FILE_BYTES = 64 << 20
OPEN_FILES = 512
PROCESSES = 400
_CAPABILITIES = 64  # more than any kernel has


def limit(*, cpu: int, memory: int) -> None:
    """Resource limits of this process. cpu: seconds (SIGXCPU, a second later SIGKILL); memory:
    bytes of address space."""
    import resource  # not on every system, and only the test process needs it

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


def limit_processes(count: int) -> None:
    """Caps processes and threads of this user in this user namespace; root is exempt."""
    import resource

    ceiling = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    count = count if ceiling == resource.RLIM_INFINITY else min(count, ceiling)
    resource.setrlimit(resource.RLIMIT_NPROC, (count, count))


def drop_capabilities() -> None:
    """Gives away every capability, for this process and all it executes."""
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if os.geteuid() == 0 or _holds_any():
        for capability in range(_CAPABILITIES):
            try:
                syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)
            except OSError:  # the kernel knows no more of them, or there is nothing to drop
                break
    head = struct.pack("=Ii", 0x20080522, 0)
    syscalls.call("capset", head, struct.pack("=6I", *(0,) * 6))


def _holds_any() -> bool:
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"CapEff:"):
                return int(line.split()[1], 16) != 0
    return False
