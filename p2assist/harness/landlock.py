"""Landlock: a file system allow-list for an ordinary process, without namespaces."""

# Pathlib costs every start of the launcher some milliseconds.
# ruff: noqa: PTH112

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from p2assist.harness import syscalls

_EXECUTE, _WRITE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_BASE = (1 << 13) - 1  # what version 1 knows
_ADDED = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # refer, truncate, ioctl on devices
_OF_FILES = _EXECUTE | _WRITE | _READ_FILE | 1 << 14 | 1 << 15
_TCP, _SCOPES = 3, 3  # bind and connect; abstract sockets and signals
SIGNAL_SCOPE = 6  # the version from which signals stay inside


def version() -> int:
    """The kernel's Landlock version, at least 1. Raises OSError where there is none."""
    return syscalls.call("landlock_create_ruleset", None, ctypes.c_size_t(0), 1)


def apply(*, read: Iterable[str], write: Iterable[str]) -> None:
    """Nothing but these paths, and what is below them, can be opened from now on.

    read: to be read and executed; write: to be used freely. Paths that do not exist are left
    out. Raises OSError.
    """
    known = version()
    files = _BASE
    for since, right in _ADDED.items():
        files |= right if known >= since else 0
    fields = (files, _TCP if known >= 4 else 0, _SCOPES if known >= SIGNAL_SCOPE else 0)
    size = 24 if known >= SIGNAL_SCOPE else 16 if known >= 4 else 8
    rules = struct.pack("=QQQ", *fields)[:size]
    ruleset = syscalls.call("landlock_create_ruleset", rules, ctypes.c_size_t(size), 0)
    try:
        for path in read:
            _allow(ruleset, path, _READ)
        for path in write:
            _allow(ruleset, path, files)
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        syscalls.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        syscalls.call("landlock_add_rule", ruleset, 1, struct.pack("=Qi", rights, handle), 0)
    finally:
        os.close(handle)
