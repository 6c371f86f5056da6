"""The warm server, as it runs inside the sandbox under the project's own interpreter.

Standard library and Python 3.8 or newer; pytest 6.2 or newer. Its text and that of its neighbours
(worker, cell, swap) come with the request; none of it is imported from a folder.

Two processes serve, each spawning children on demand (cell.py). The first has imported pytest and
the third-party packages and nothing of the project: its children run all of pytest (`preload`).
The second is a fork of it in which pytest was configured and has collected the tests; it serves
from inside the hook that would run them, so that a child goes on as pytest itself would, with the
candidate's code swapped in (`swap`). No test runs in either. What the project's code has left
behind while the tests were collected and a child would share with its siblings (threads, open
files, shared memory, scratch files) rules the second one out: it says so and is not used.
"""

# ruff: noqa: PTH103, PTH108, PTH110, PTH112, PTH118, PTH120, PTH123, PTH208
# ruff: noqa: PTH109, PTH115, UP006, UP035
from __future__ import annotations

import gc
import importlib
import linecache
import os
import random
import signal
import sys
from contextlib import suppress
from typing import Any, Dict, List, Set

from p2assist.harness import cell, swap, worker

_OLDEST = (6, 2)
_SCRATCH = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108


def main(request: Dict[str, Any]) -> None:
    """request: see server.py, which writes it."""
    import pytest

    preload = cell.Control(request["preload"], request, lambda c, r: _test_anew(c, r, request))
    version = tuple(int(part) for part in pytest.__version__.split(".")[:2])
    if version < _OLDEST:
        preload.say("unfit", "pytest " + pytest.__version__ + " is too old for the warm server")
        return
    root = request["root"]
    if early := [name for name in sys.modules if _below(root, _file_of(name))]:
        preload.say("unfit", early[0] + " is the project's and pytest's own")
        return
    ours, theirs = os.pipe()
    if os.fork() == 0:
        os.close(ours)
        preload.close()
        _collect(request, theirs)
        os._exit(0)
    os.close(theirs)
    os.close(request["collected"])
    with open(ours, "rb") as heard:
        wanted, _, rewritten = heard.read().decode().partition("\0")
    if _harmless(wanted.split("\n"), set(rewritten.split("\n"))):
        _import(wanted.split("\n"))
    preload.say("ready", "")
    gc.collect()
    gc.freeze()
    preload.serve()


def _import(names: List[str]) -> None:
    for name in names:
        try:
            if name:
                importlib.import_module(name)
        except BaseException:  # noqa: S110 - the project will see for itself
            pass


def _harmless(names: List[str], rewritten: Set[str]) -> bool:
    """Whether importing them ahead changes nothing, as tried in another process: pytest warns of
    a plugin that is imported before it can be rewritten, and a fork loses threads."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    before = _handles()
    _import(names)
    threads = len(os.listdir("/proc/self/task")) > 1
    opened = any(_target(handle) for handle in _handles() - before)
    os._exit(int(threads or opened or not rewritten.isdisjoint(sys.modules)))


def _file_of(name: str) -> str:
    return getattr(sys.modules.get(name), "__file__", None) or ""


def _below(root: str, file: str) -> bool:
    return os.path.realpath(file).startswith(root + "/") if file else False


def _third_party(root: str, rewritten: Set[str]) -> List[str]:
    """Modules that are neither the project's nor of the standard library, as they came; those
    that pytest rewrites, plugins of its own, are left to it."""
    library = os.path.dirname(os.path.realpath(os.__file__))
    found = []
    for name in list(sys.modules):
        file = os.path.realpath(_file_of(name)) if _file_of(name) else ""
        standard = file.startswith(library + "/") and "/site-packages/" not in file
        plugin = name in rewritten or name.partition(".")[0] in rewritten
        if file and not (standard or plugin or _below(root, file) or name == "__main__"):
            found.append(name)
    return found


def _collect(request: Dict[str, Any], tell: int) -> None:
    """The second process. Returns never, or in a test process when pytest has ended."""
    import pytest

    state = random.getstate()
    before = _handles()
    ran = swap.Ran()
    server = Server(request, state, before, ran, tell)
    plugins: List[Any] = [server]
    if not request["has_cov"]:
        plugins.append(worker.Unavailable())
    sys.argv = ["pytest"] + request["arguments"]
    ran.start()
    status = pytest.main(request["arguments"], plugins=plugins)
    server.control.say("unfit", "pytest did not begin to run tests: status " + str(int(status)))


class Server:
    """The pytest plugin of the second process."""

    def __init__(
        self, request: Dict[str, Any], state: Any, before: Set[int], ran: swap.Ran, tell: int
    ) -> None:
        import pytest

        self._request, self._random, self._before = request, state, before
        self._ran, self._tell = ran, tell
        self.control = cell.Control(request["collected"], request, self._prepare)
        self._session: Any = None
        self._uncollected: List[Any] = []
        self._places: Dict[str, List[int]] = {}  # of the tests in the session, by node id
        self._base: Any = None
        self._send: Any = None

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtestloop(session: Any) -> Any:
            self._serve(session)
            outcome = yield  # only in a test process
            self._end(outcome)

        def pytest_collectreport(report: Any) -> None:
            if report.failed:
                words = worker.printable(worker.last_line(str(report.longrepr)))
                self._uncollected.append((report.nodeid, words))

        self.pytest_runtestloop = pytest_runtestloop
        self.pytest_collectreport = pytest_collectreport

    def _serve(self, session: Any) -> None:
        self._session = session
        self._ran.stop()
        with os.fdopen(self._tell, "wb") as told:
            hook = getattr(session.config.pluginmanager, "rewrite_hook", None)
            rewritten = set(getattr(hook, "_must_rewrite", ()))
            names = _third_party(self._request["root"], rewritten)
            told.write(("\n".join(names) + "\0" + "\n".join(rewritten)).encode())
        gc.collect()
        why = self._shared()
        try:
            self._base = swap.Base(self._request["root"], self._ran)
        except swap.Unfit as unfit:
            why = why or str(unfit)
        for place, item in enumerate(session.items):
            self._places.setdefault(item.nodeid, []).append(place)
        self._seeded = random.getstate() if random.getstate() != self._random else None
        self.control.say("unfit" if why else "ready", why)
        if why:
            os._exit(0)
        gc.collect()
        gc.freeze()
        self.control.serve(self._base.prepare())

    def _shared(self) -> str:
        """What a child would share with other children, in words; '' where there is nothing."""
        if len(os.listdir("/proc/self/task")) > 1:
            return "a thread was started while the tests were collected"
        try:
            os.waitpid(-1, os.WNOHANG)
            return "a process was started while the tests were collected"
        except ChildProcessError:
            pass
        if signal.getitimer(signal.ITIMER_REAL)[0]:
            return "a timer was set while the tests were collected"
        captured = set(_captured(self._session.config))
        for handle in sorted(_handles() - self._before - captured - self.control.handles):
            target = _target(handle)
            if target not in ("/dev/null", ""):
                return "a file was left open while the tests were collected: " + target
        with open("/proc/self/maps") as maps:
            if any(line.split()[1].startswith("rw-s") for line in maps):
                return "memory was shared while the tests were collected"
        return self._scratch()

    def _scratch(self) -> str:
        home = os.environ.get("HOME", "")
        for folder in _SCRATCH:
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                seen = path == home or any(
                    kept == path or kept.startswith(path + "/") for kept in self._request["kept"]
                )
                if not seen:
                    return "a scratch file was left while the tests were collected: " + path
        if home and os.path.isdir(home) and os.listdir(home):
            return "a file was left in the home folder while the tests were collected"
        return ""

    def _prepare(self, channel: int, request: Dict[str, Any]) -> None:
        """Puts the candidate in place; in the test process."""
        self._send = send = worker.make_send(channel, request["nonce"])
        gc.unfreeze()
        if self._seeded is not None:  # a fork seeds the generator anew
            random.setstate(self._seeded)
        os.chdir(os.getcwd())
        for handle in _captured(self._session.config):
            _own_file(handle)
        root = self._request["root"]
        try:
            swaps = []
            for path, content in request["files"]:
                swaps += _swapped(self._base, root, path, content)
            _write(root, request["files"], request["stale"])
        except swap.Unfit as unfit:
            send("unfit", str(unfit))
            os._exit(0)
        except OSError as error:
            send("unfit", "the candidate cannot be written: " + str(error))
            os._exit(0)
        for function, code in swaps:
            function.__code__ = code
        del swaps
        linecache.clearcache()
        importlib.invalidate_caches()
        self._choose(request, send)

    def _choose(self, request: Dict[str, Any], send: Any) -> None:
        """Leaves the wanted tests in the session."""
        session = self._session
        for nodeid, words in self._uncollected:
            send("collect", nodeid, words)
        wanted = set(request["wanted"])
        places = sorted(place for nodeid in wanted for place in self._places.get(nodeid, ()))
        session.items = [session.items[place] for place in places]
        worker.reorder(session.items, request["order"], request["wanted"])
        session.testscollected = len(session.items)
        missing = wanted - set(self._places)
        broken = [nodeid for nodeid, _ in self._uncollected]
        if any(not any(name.startswith(one) for one in broken) for name in missing):
            send("unfit", "a test was not collected by the server")
            os._exit(0)
        for item in session.items:
            send("item", item.nodeid)
        reporter = worker.Reporter(request, send)
        session.config.pluginmanager.register(reporter, "p2assist-reporter")

    def _end(self, outcome: Any) -> None:
        """Says how the loop ended, with pytest's own status, and leaves at once."""
        status = 1 if self._session.testsfailed else 0
        if outcome.excinfo is not None:
            kind = outcome.excinfo[0]
            failed = issubclass(kind, type(self._session).Failed)
            status = 1 if failed else 3 if issubclass(kind, Exception) else 2
        self._send("end", status, 0)
        os._exit(0)


def _swapped(base: Any, root: str, path: str, content: bytes) -> List[Any]:
    file = os.path.join(root, path)
    if base.texts.get(file) == content:
        return []
    if not path.endswith(".py"):
        raise swap.Unfit(path + " is no Python file")
    return swap.plan(base, file, content)


def _test_anew(channel: int, request: Dict[str, Any], server: Dict[str, Any]) -> None:
    """The whole of pytest on the candidate, in a child of the first process."""
    import pytest

    send = worker.make_send(channel, request["nonce"])
    gc.unfreeze()
    root = server["root"]
    os.chdir(root)
    try:
        _write(root, request["files"], request["stale"])
    except OSError as error:
        send("unfit", "the candidate cannot be written: " + str(error))
        os._exit(0)
    importlib.invalidate_caches()
    plugins: List[Any] = [worker.Reporter(request, send)]
    if not server["has_cov"]:
        plugins.append(worker.Unavailable())
    sys.argv = ["pytest"] + request["arguments"]
    status = pytest.main(request["arguments"], plugins=plugins)
    send("end", int(status), 0)
    os._exit(0)


def _write(root: str, files: Any, stale: Any) -> None:
    """Lays the files over the repository, and removes what compiled forms could stand for them
    or for the stale ones: a clock does not tell. Raises OSError."""
    for path, content in files:
        target = os.path.join(root, path)
        if not os.path.realpath(target).startswith(root + "/"):
            raise OSError(path + " leads out of the repository")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as stream:
            stream.write(content)
    for path in [path for path, _ in files] + list(stale):
        _drop_compiled(os.path.join(root, path))


def _drop_compiled(source: str) -> None:
    folder, name = os.path.split(source)
    stem = name[: -len(".py")]
    cache = os.path.join(folder, "__pycache__")
    if os.path.isdir(cache):
        for entry in os.listdir(cache):
            if entry.startswith(stem + "."):
                os.unlink(os.path.join(cache, entry))
    if os.path.exists(source + "c"):
        os.unlink(source + "c")


def _handles() -> Set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd")}


def _target(handle: int) -> str:
    try:
        return os.readlink("/proc/self/fd/" + str(handle))
    except OSError:
        return ""  # the one by which the folder was listed


def _captured(config: Any) -> List[int]:
    """The descriptors of the files that pytest's capture writes to."""
    manager = config.pluginmanager.getplugin("capturemanager")
    capturing = getattr(manager, "_global_capturing", None)
    found = []
    for name in ("in_", "out", "err"):
        file: Any = getattr(getattr(capturing, name, None), "tmpfile", None)
        with suppress(AttributeError, OSError, ValueError):  # it captures into memory, or nothing
            found.append(file.fileno())
    return found


def _own_file(handle: int) -> None:
    """Puts a new empty file behind the descriptor: a fork shares the old one with its siblings."""
    if os.path.exists("/proc/self/fd/" + str(handle)) and _target(handle) != "/dev/null":
        # A file of the cell's own small file system: memory files have no bound, and are refused.
        fresh = os.open(_SCRATCH[2], os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        os.dup2(fresh, handle)
        os.close(fresh)
