"""A system call filter: what no test needs and what breaks out of, or around, the sandbox.

It is a deny-list, so it is a layer and never the only one.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable

from p2assist.harness import syscalls

_DENIED = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "perf_event_open", "bpf", "userfaultfd"),
    *("mount", "umount2", "pivot_root", "chroot", "mount_setattr", "move_mount", "open_tree"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "unshare", "setns", "name_to_handle_at"),
    *("open_by_handle_at", "add_key", "request_key", "keyctl", "kexec_load", "kexec_file_load"),
    *("init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff", "vhangup"),
    *("sethostname", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "pidfd_getfd", "kcmp"),
    *("process_madvise", "fanotify_init", "syslog", "acct", "quotactl", "quotactl_fd", "iopl"),
    *("ioperm", "lookup_dcookie", "modify_ldt"),
    # Memory that no process is charged for, and that no limit of a process holds.
    *("shmget", "msgget", "semget", "memfd_create", "memfd_secret"),
)
# What Landlock does not hold: sockets, other files' modes and owners, signals before version 6.
SOCKETS = ("socket", "connect")
METADATA = (
    *("chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat"),
    *("setxattr", "lsetxattr", "removexattr", "lremovexattr"),
)
SIGNALS = ("kill", "tkill", "tgkill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo")

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24  # in struct seccomp_data
_X32 = 0x40000000
_NAMESPACES = 0x7E020080  # every CLONE_NEW* flag
_FAMILIES = (1, 2, 10, 16)  # unix, inet, inet6, netlink: vsock has no namespace

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def program(also: Iterable[str], *, serving: bool = False) -> list[Instruction]:
    """The filter. also: names of calls to refuse besides those that always are. serving: the
    warm server's own, which may give its children namespaces, though no user namespace, and may
    go back to its own pid namespace."""
    number = syscalls.number
    steps: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, _AUDIT[syscalls.machine()]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if syscalls.machine() == "x86_64":
        steps += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    if serving:
        steps += _namespaces_of_children()
    for name in (*_DENIED, *also):
        if syscalls.exists(name):
            steps += [(_EQUAL, 0, 1, number(name)), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    # ENOSYS makes libc fall back to clone, whose flags can be looked at.
    steps += [(_EQUAL, 0, 1, number("clone3")), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    steps += [
        (_EQUAL, 0, 4, number("clone")),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, _NAMESPACES),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    families: list[Instruction] = [(_LOAD, 0, 0, _FIRST_ARGUMENT)]
    for left, family in zip(range(len(_FAMILIES) - 1, -1, -1), _FAMILIES, strict=True):
        families.append((_EQUAL, left + 1, 0, family))
    families.append((_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT))
    steps += [(_EQUAL, 0, len(families), number("socket")), *families]
    return [*steps, (_RETURN, 0, 0, _ALLOW)]


def _namespaces_of_children() -> list[Instruction]:
    refuse, allow = (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ALLOW)
    return [
        (_EQUAL, 0, 4, syscalls.number("unshare")),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, syscalls.NEW_USER),
        refuse,
        allow,
        (_EQUAL, 0, 4, syscalls.number("setns")),
        (_LOAD, 0, 0, _SECOND_ARGUMENT),
        (_EQUAL, 1, 0, syscalls.NEW_PID),
        refuse,
        allow,
    ]


def packed(steps: Iterable[Instruction]) -> bytes:
    """The filter as the kernel takes it: an array of struct sock_filter."""
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def apply(also: Iterable[str], *, serving: bool = False) -> None:
    """Filters this process and all that come of it, for good. Raises OSError."""
    steps = program(also, serving=serving)
    code = ctypes.create_string_buffer(packed(steps))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.prctl(syscalls.PR_SET_SECCOMP, 2, head)
