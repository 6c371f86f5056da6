"""The Linux calls that the sandbox is made of, through ctypes.

Standard library only and quick to import: the launcher loads this once for every candidate.
Every function raises OSError with the call's name where the kernel refuses.
"""

from __future__ import annotations

import ctypes
import os

NEW_NS, NEW_CGROUP, NEW_UTS, NEW_IPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEW_USER, NEW_PID, NEW_NET = 0x10000000, 0x20000000, 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER = 22, 24, 36

_AT_RECURSIVE = 0x8000
_AT_FDCWD = -100

# Number of a call by architecture, for those that libc does not wrap or that seccomp names;
# -1 where it does not exist.
_NUMBERS: dict[str, tuple[int, int]] = {  # name: (x86_64, aarch64)
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "capset": (126, 91),
    "chmod": (90, -1),
    "chown": (92, -1),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "connect": (42, 203),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchownat": (260, 54),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "lchown": (94, -1),
    "lookup_dcookie": (212, 18),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "modify_ldt": (154, -1),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "removexattr": (197, 14),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "semget": (64, 190),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "setxattr": (188, 5),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
_MACHINES = {"x86_64": 0, "aarch64": 1}
_libc: ctypes.CDLL | None = None


def libc() -> ctypes.CDLL:
    """The C library, loaded at the first call."""
    global _libc
    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)
    return _libc


def machine() -> str:
    """The architecture as uname names it."""
    return os.uname().machine


def number(name: str) -> int:
    """The call's number on this architecture. Raises OSError where it is not known."""
    if machine() not in _MACHINES:
        raise OSError(f"{name}: not known on {machine()}")
    return _NUMBERS[name][_MACHINES[machine()]]


def exists(name: str) -> bool:
    """Whether this architecture has the call: the newer ones lack some old forms."""
    return number(name) >= 0


def check(result: int, what: str) -> int:
    """The result, or OSError with errno's text where it says failure."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def call(name: str, *arguments: object) -> int:
    """syscall(2) by name."""
    return check(libc().syscall(number(name), *arguments), name)


def prctl(option: int, value: int = 0, pointer: object = 0) -> None:
    check(libc().prctl(option, ctypes.c_ulong(value), pointer, 0, 0), f"prctl {option}")


def unshare(flags: int) -> None:
    check(libc().unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2); '' stands for no file system type and no data."""
    check(
        libc().mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            data.encode() if data else None,
        ),
        f"mount {kind or 'bind'} {target}",
    )


def detach(target: str) -> None:
    """umount2(2), lazily: what still uses the mount keeps it."""
    check(libc().umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def restrict_mount(target: str, flags: int, *, recursive: bool = False) -> None:
    """Adds mount attributes (MS_RDONLY, MS_NOSUID, ...: 1, 2, 4, 8 as in mount_setattr)."""
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    call(
        "mount_setattr",
        _AT_FDCWD,
        os.fsencode(target),
        _AT_RECURSIVE if recursive else 0,
        attributes,
        ctypes.c_size_t(32),
    )


def pivot_root(target: str) -> None:
    """Makes target the root and lets go of the old one."""
    os.chdir(target)
    call("pivot_root", b".", b".")
    detach(".")
    os.chdir("/")
