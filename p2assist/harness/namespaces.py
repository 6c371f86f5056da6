"""A root of its own for a candidate: namespaces, an allow-list of mounts, the repo on an overlay.

What it does not promise: the kernel is shared, and memory in sum is looked at, not capped: a run
that holds more than one process may address is ended a tenth of a second later.
Runs in the launcher; standard library only.
"""

# Pathlib costs every start of the launcher some milliseconds.
# ruff: noqa: PTH102, PTH103, PTH106, PTH108, PTH110, PTH112, PTH114, PTH115, PTH116, PTH120, PTH123, PTH208, PTH211

from __future__ import annotations

import _socket
import fcntl
import os
import stat
import struct
from collections.abc import Iterable, Sequence

from p2assist.harness import syscalls
from p2assist.harness.syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REC

Files = Sequence[tuple[str, bytes]]  # path below the repository's root, content

STAGE = "/tmp"  # noqa: S108 - a mount point that every system has; the real folder stays untouched
_DEVICES = ("null", "zero", "full", "random", "urandom")
_SCRATCH = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108
_UPPER = "/.upper"
_RESERVED_PIDS = 300
_ALL = (
    *(syscalls.NEW_USER, syscalls.NEW_NS, syscalls.NEW_PID, syscalls.NEW_NET, syscalls.NEW_IPC),
    *(syscalls.NEW_UTS, syscalls.NEW_CGROUP),
)


def leave() -> None:
    """Moves this process into new namespaces of every kind; its next child is pid 1 there.

    It keeps its user and group: a test sees the same ids as outside. Raises OSError.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _leave_as_root()
        return
    syscalls.unshare(sum(_ALL))
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")


def _leave_as_root() -> None:
    """Root keeps every id, because the repository's files may be anybody's. Only a process that
    has stayed outside may say so."""
    me = os.getpid()
    maps = [(name, identity(name)) for name in ("uid_map", "gid_map")]
    listen, tell = os.pipe()
    helper = os.fork()
    if helper == 0:
        os.close(tell)
        os.read(listen, 1)
        for name, content in maps:
            _write(f"/proc/{me}/{name}", content)
        os._exit(0)
    try:
        syscalls.unshare(sum(_ALL))
    finally:
        os.close(tell)
        os.close(listen)
        status = os.waitpid(helper, 0)[1]
    if status:
        raise OSError("the ids of the user namespace cannot be set")


def identity(name: str) -> str:
    """The map that leaves every id of this process's own namespace as it is."""
    with open(f"/proc/self/{name}") as file:
        ranges = [line.split() for line in file]
    return "\n".join(f"{first} {first} {count}" for first, _, count in ranges)


def enter(
    root: str,
    *,
    read: Iterable[str],
    files: Files,
    stale: Iterable[str],
    hidden: Iterable[str],
    scratch_mb: int,
    processes: int,
) -> bool:
    """Builds the candidate's world and moves into it. To be called by pid 1 of the namespaces.

    root: the repository, which appears at the same path with `files` laid over it, the compiled
    forms of `stale` (source paths below root) and `hidden` (paths below root) gone. read: what
    else exists, read-only. Returns whether the kernel caps the processes. Raises OSError.
    """
    syscalls.mount("none", "/", flags=MS_REC | syscalls.MS_PRIVATE)
    sources = [(path, reference(path)) for path in outermost(read, root)]
    devices = [(name, reference(f"/dev/{name}")) for name in _DEVICES]
    repository = reference(root)
    tmpfs(STAGE, scratch_mb)
    for path in _SCRATCH:
        tmpfs(_made(STAGE + path), scratch_mb)
    for path, handle in sources:
        if handle >= 0:
            _bind(handle, path)
    for name, handle in devices:
        _bind(handle, f"/dev/{name}", writable=True)
    _devices()
    left = overlay(repository, STAGE + root, STAGE + _UPPER, scratch_mb, files, hidden)
    for handle in (repository, *(h for _, h in (*sources, *devices) if h >= 0)):
        os.close(handle)
    capped = _proc(processes)
    syscalls.pivot_root(STAGE)
    # Only now: a link in the repository can no longer lead these to a file of the host's.
    for path in stale:
        drop_compiled(root, path)
    for path in left:
        _hide(f"{root}/{path}")
    syscalls.restrict_mount("/", MS_RDONLY)
    _loopback()
    return capped


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def reference(path: str) -> int:
    """An O_PATH descriptor that outlives the mounts over the path; -1 where it does not exist."""
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return -1


def outermost(paths: Iterable[str], root: str) -> list[str]:
    """The paths, without those below another one or below the repository itself."""
    kept: list[str] = []
    for path in sorted(set(paths)):
        below = any(path == top or path.startswith(top + "/") for top in (*kept, root))
        if not below:
            kept.append(path)
    return kept


def _made(path: str) -> str:
    os.makedirs(path, exist_ok=True)
    return path


def tmpfs(path: str, size_mb: int) -> None:
    data = f"size={size_mb}m,nr_inodes=200k,mode=755"
    syscalls.mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, data)


def _bind(handle: int, path: str, *, writable: bool = False) -> None:
    source, target = f"/proc/self/fd/{handle}", STAGE + path
    if not writable and os.path.islink(path):
        _made(os.path.dirname(target))
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(source):
        _made(target)
    else:
        _made(os.path.dirname(target))
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    syscalls.mount(source, target, flags=MS_BIND | (0 if writable else MS_REC))
    if not writable:
        syscalls.restrict_mount(target, MS_RDONLY | MS_NOSUID | MS_NODEV, recursive=True)


def _devices() -> None:
    for name, target in (
        *(("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0")),
        *(("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx")),
    ):
        os.symlink(target, f"{STAGE}/dev/{name}")
    try:
        data = "newinstance,ptmxmode=0666,mode=620"
        syscalls.mount("devpts", _made(f"{STAGE}/dev/pts"), "devpts", MS_NOSUID | MS_NOEXEC, data)
    except OSError:
        pass  # pseudo-terminals are a convenience: a test that needs one fails at baseline


def overlay(
    lower: int, target: str, layer: str, size_mb: int, files: Files = (), gone: Iterable[str] = ()
) -> list[str]:
    """Mounts the folder of the descriptor `lower` at target, under a throw-away layer that
    already holds the files and a whiteout for each path that is to be gone; those for which the
    kernel has no whiteout. layer: where the layer is made before nothing leads to it any more."""
    tmpfs(_made(layer), size_mb)
    os.mkdir(f"{layer}/work")
    os.mkdir(f"{layer}/new", os.stat(f"/proc/self/fd/{lower}").st_mode & 0o7777)
    put(f"{layer}/new", files)
    left = [path for path in gone if not _whiteout(f"{layer}/new", path)]
    syscalls.mount(
        "overlay",
        _made(target),
        "overlay",
        MS_NOSUID | MS_NODEV,
        f"lowerdir=/proc/self/fd/{lower},upperdir={layer}/new,workdir={layer}/work,userxattr",
    )
    syscalls.detach(layer)
    os.rmdir(layer)
    return left


def _whiteout(folder: str, path: str) -> bool:
    parent = f"{folder}/{path}".rpartition("/")[0]
    try:
        _made(parent)
        os.mknod(f"{folder}/{path}", stat.S_IFCHR, 0)
    except OSError:
        return False
    return True


def put(folder: str, files: Files) -> None:
    """Writes the files below the folder. Raises OSError for a path that leads out of it."""
    known = {""}
    for path, content in files:
        parent = path.rpartition("/")[0]
        if parent not in known:
            _require_inside(folder, parent)
            _made(f"{folder}/{parent}")
            known.add(parent)
        with open(f"{folder}/{path}", "wb") as file:
            file.write(content)


def _require_inside(folder: str, path: str) -> None:
    real, top = os.path.realpath(f"{folder}/{path}"), os.path.realpath(folder)
    if ".." in path.split("/") or not f"{real}/".startswith(f"{top}/"):
        raise OSError(f"{path} leads out of the repository")


def drop_compiled(root: str, source: str) -> None:
    """Removes every compiled form of a source file: a stale one would be loaded in its place
    where size and time stamp happen to agree. Raises OSError as put() does."""
    parent, _, name = source.rpartition("/")
    _require_inside(root, f"{parent}/__pycache__")
    folder = f"{root}/{parent}" if parent else root
    stem = name.removesuffix(".py")
    cache = f"{folder}/__pycache__"
    if os.path.isdir(cache):
        for entry in os.listdir(cache):
            if entry.startswith(stem + "."):
                os.unlink(f"{cache}/{entry}")
    if os.path.exists(f"{folder}/{stem}.pyc"):
        os.unlink(f"{folder}/{stem}.pyc")


def _hide(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        syscalls.mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "size=4k,mode=755")
    elif os.path.lexists(path):
        os.unlink(path)


def private_proc() -> int:
    """A descriptor of a writable /proc of this pid namespace that no path leads to: by it the ids
    of a user namespace and the most processes of a pid namespace are set. To be called before
    enter(), in the same mount namespace, with the old root still in place."""
    syscalls.mount("none", "/", flags=MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("proc", STAGE, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    handle = reference(STAGE)
    syscalls.detach(STAGE)
    return handle


def _proc(processes: int) -> bool:
    """The namespace's own /proc, read-only: a root user could set the host's sysctls there."""
    target = _made(f"{STAGE}/proc")
    syscalls.mount("proc", target, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    capped = own_pid_max()
    if capped:
        _write(f"{target}/sys/kernel/pid_max", pid_max(processes))
    syscalls.restrict_mount(target, MS_RDONLY)
    return capped


def pid_max(processes: int) -> str:
    """What to write there for so many processes and threads at a time. The kernel uses the first
    300 numbers once; a run that started more processes than that, one after the other, would be
    left with the rest."""
    return str(processes + _RESERVED_PIDS)


def own_pid_max() -> bool:
    """Whether pid_max belongs to the namespace. Before Linux 6.14 it is the host's, and root
    would change it for everybody."""
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int("".join(c for c in minor if c.isdigit()))) >= (6, 14)


def _loopback() -> None:
    up = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
    handle = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    fcntl.ioctl(handle.fileno(), 0x8914, up)  # SIOCSIFFLAGS
    handle.close()
