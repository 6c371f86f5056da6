"""The supervisor of one candidate: builds its sandbox, starts it, and ends all that came of it.

A process of its own, started as `python -I -S -c ...` with p2assist's interpreter, because what it
does (unshare, fork, limits) must not happen in a process with threads and a model in it. It reads
a specification from standard input, whose end is also its lifeline: when the caller goes away, in
whatever manner, standard input closes and everything below dies. It answers on standard output.
Standard library only, and as little of it as can be; all of it is imported at the top, because
inside the sandbox this interpreter's own library may not exist.
"""

# Pathlib costs every start of the launcher some milliseconds.
# ruff: noqa: PTH103, PTH123, PTH208
from __future__ import annotations

import marshal
import os
import select
import signal
import stat
import struct
import sys
import time
from typing import Any, NoReturn

from p2assist.harness import cells, landlock, limits, namespaces, seccomp, selftest, syscalls

Spec = dict[str, Any]  # see sandbox.Box.specification, which writes it
Ending = tuple[str, int, str]  # how ('exit', 'signal', 'timeout', 'abort', 'setup'), value, words

_LENGTH = struct.Struct("=Q")
_SETUP_FAILED = 125
_NICE = 10  # below the editor, the model and whoever types
_TICK = 0.1  # seconds between two counts of the processes where the kernel does not cap them


def main() -> None:
    """Entry point of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller's Ctrl-C arrives by the lifeline
    (length,) = _LENGTH.unpack(_read_exactly(_LENGTH.size))
    ending = _run(marshal.loads(_read_exactly(length)))  # noqa: S302 - written by our own parent
    os.write(1, marshal.dumps(ending))


def _read_exactly(count: int) -> bytes:
    parts = []
    while count:
        part = os.read(0, count)
        if not part:
            sys.exit(1)
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _run(spec: Spec) -> Ending:
    own_root = spec["mode"] == "namespaces"
    listen, report = os.pipe()
    try:
        if own_root:
            namespaces.leave()
        else:
            syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
            _copy(spec)
        child = os.fork()
        if child == 0:
            os.close(listen)
            os.nice(_NICE)
            (_init if own_root else _become)(spec, report)
        for handle in (report, *spec["handles"]):
            os.close(handle)
        cut_short = _watch(child, spec, counted=not own_root)
        status = _end(child) if own_root else _end_all(child)
        return cut_short or _ending(listen, status)
    except OSError as error:
        return "setup", 0, str(error)
    finally:
        if not own_root:
            _remove(spec["stage"])


def _watch(child: int, spec: Spec, *, counted: bool) -> Ending | None:
    """Waits for the child's end (None), the deadline or the caller's end. counted: whether to
    count the descendants and their memory, where no pid 1 of theirs does."""
    deadline = time.monotonic() + spec["timeout"]  # infinite for a server
    poller = select.poll()
    poller.register(0, select.POLLIN)
    poller.register(handle := os.pidfd_open(child), select.POLLIN)
    try:
        while True:
            left = max(0.0, deadline - time.monotonic())
            ready = [fd for fd, _ in poller.poll(_milliseconds(left, counted))]
            if handle in ready:
                return None
            if ready:
                return "abort", 0, "the caller went away"
            if not left:
                return "timeout", 0, ""
            if counted and len(below := _descendants()) > spec["processes"]:
                return "signal", int(signal.SIGKILL), "too many processes"
            if counted and limits.held(below, spec["memory"]) > spec["memory"]:
                return "signal", int(signal.SIGKILL), "too much memory"
    finally:
        os.close(handle)


def _milliseconds(left: float, counted: bool) -> float | None:
    if counted:
        return 1000 * min(left, _TICK)
    return None if left == float("inf") else 1000 * left


def _end(child: int) -> int:
    """Kills pid 1 of the namespaces, and the kernel everything in them; the wait status."""
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _end_all(child: int) -> int:
    """Kills every process below this one, the subreaper: orphans become its children and are
    met in turn. The child's wait status."""
    found = 0
    while True:
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                found = ended[1] if ended[0] == child else found
        except ChildProcessError:
            return found
        for pid in _descendants():
            _kill(pid)
        time.sleep(0.001)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it was quicker


def _descendants() -> list[int]:
    """Process ids below this process, as its own /proc shows them."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError):  # it ended meanwhile
                continue
            children.setdefault(parent, []).append(int(entry))
    found: list[int] = []
    queue = [os.getpid()]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def _ending(listen: int, status: int) -> Ending:
    """What the processes below said of the command's end, else what the wait status says."""
    said = os.read(listen, 65536)
    if said:
        kind, value, words = marshal.loads(said)  # noqa: S302 - only our own code can write there
        return str(kind), int(value), str(words)
    if os.WIFSIGNALED(status):
        return "signal", os.WTERMSIG(status), ""
    return "exit", os.WEXITSTATUS(status), ""


def _init(spec: Spec, report: int) -> NoReturn:
    """Pid 1 of the namespaces: builds the root, starts the command, reaps until it ends."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    builder = None
    try:
        if spec["builder"] >= 0:
            builder = cells.Builder(spec, namespaces.private_proc())
        capped = namespaces.enter(
            spec["root"],
            read=spec["read"],
            files=_files(spec),
            stale=spec["stale"],
            hidden=spec["hidden"],
            scratch_mb=spec["scratch_mb"],
            processes=spec["processes"] * (cells.MOST if builder else 1),
        )
        child = os.fork()
    except BaseException as error:  # nothing may leave this function: the caller's stack is above
        _tell(report, "setup", 0, _words(error))
        os._exit(1)
    if child == 0:
        _become(spec, report, builder)
    for handle in set(spec["handles"]) - {spec["builder"]}:
        os.close(handle)
    most = 0 if capped else spec["processes"]
    status = builder.serve(child) if builder else _reap(child, most, spec["memory"])
    if os.WIFSIGNALED(status):
        _tell(report, "signal", os.WTERMSIG(status), "")
    else:
        _tell(report, "exit", os.WEXITSTATUS(status), "")
    os._exit(0)


def _reap(child: int, most: int, memory: int) -> int:
    """The child's wait status. most: number of processes that ends it, 0 for no count; memory:
    bytes, held by all of them, that end it."""
    poller = select.poll()
    poller.register(handle := os.pidfd_open(child), select.POLLIN)
    while True:
        poller.poll(1000 * (_TICK / 10 if most else _TICK))
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                os.close(handle)
                return ended[1]
        below = [entry for entry in os.listdir("/proc") if entry.isdigit()]
        if (most and len(below) > most) or limits.held(below, memory) > memory:
            return int(signal.SIGKILL)


def _become(spec: Spec, report: int, builder: cells.Builder | None = None) -> NoReturn:
    """Turns this process into the command; the last steps are the ones that cannot be undone."""
    try:
        os.setsid()
        _redirect(spec)
        if not spec["selftest"]:
            limits.limit(cpu=spec["cpu"], memory=spec["memory"])
        if os.geteuid() and spec["mode"] == "namespaces" and not builder:
            limits.limit_processes(spec["processes"])
        os.chdir(spec["cwd"])
        os.makedirs(spec["env"]["HOME"], mode=0o700, exist_ok=True)
        if builder:
            builder.leave()
            os.close(spec["builder"])
            builder.confine()
        else:
            _confine(spec)
        if spec["selftest"]:
            selftest.report(spec["channel"], spec)
            os._exit(0)
        os.execve(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - what it is for
    except BaseException as error:  # as in _init
        _tell(report, "setup", 0, _words(error))
    os._exit(_SETUP_FAILED)


def _words(error: BaseException) -> str:
    return str(error) if isinstance(error, OSError) else repr(error)


def _confine(spec: Spec) -> None:
    if spec["mode"] == "none":
        return
    own_root = spec["mode"] == "namespaces"
    limits.drop_capabilities(own_root=own_root)
    if own_root:
        seccomp.apply(())
        return
    scoped = landlock.version() >= landlock.SIGNAL_SCOPE
    landlock.apply(read=spec["read"], write=spec["write"])
    seccomp.apply(
        (*seccomp.SOCKETS, *seccomp.METADATA, *(() if scoped else seccomp.SIGNALS)),
    )


def _redirect(spec: Spec) -> None:
    """Standard streams: the request, then the caller's pipe or nothing."""
    request = os.memfd_create("request")
    os.write(request, spec["stdin"])
    os.lseek(request, 0, os.SEEK_SET)
    os.dup2(request, 0)
    output = spec["output"] if spec["output"] >= 0 else os.open("/dev/null", os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if spec["output"] >= 0:
        os.close(output)


def _tell(report: int, kind: str, value: int, words: str) -> None:
    os.write(report, marshal.dumps((kind, value, words)))


def _files(spec: Spec) -> namespaces.Files:
    """What is laid over the repository: the compiled forms kept from the baseline, then the
    candidate's own file."""
    kept: namespaces.Files = []
    if spec["compiled"]:
        with open(spec["compiled"], "rb") as file:
            kept = marshal.load(file)  # noqa: S302 - our own state; only bytes come of it
    return [*kept, *spec["files"]]


def _copy(spec: Spec) -> None:
    """A copy of the tree at spec['cwd'], where there is no overlay."""
    import shutil

    os.makedirs(spec["cwd"], mode=0o700)
    gone = {f"{spec['root']}/{path}" for path in spec["hidden"]}

    def skipped(folder: str, names: list[str]) -> list[str]:
        paths = [(n, f"{folder}/{n}") for n in names]
        return [n for n, p in paths if p in gone or n in spec["uncopied"] or _special(p)]

    shutil.copytree(spec["root"], spec["cwd"], symlinks=True, ignore=skipped, dirs_exist_ok=True)
    namespaces.put(spec["cwd"], _files(spec))
    for path in spec["stale"]:
        namespaces.drop_compiled(spec["cwd"], path)


def _special(path: str) -> bool:
    """Whether it is a socket, a pipe or a device: nothing that can be copied."""
    kind = stat.S_IFMT(os.lstat(path).st_mode)
    return kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)


def _remove(stage: str) -> None:
    import shutil

    shutil.rmtree(stage, ignore_errors=True)
