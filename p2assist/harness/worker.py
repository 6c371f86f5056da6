"""What runs inside the sandbox, under the project's own interpreter: pytest, and a plugin that
reports each phase of each test.

Standard library and Python 3.8 or newer; its text is handed to `python -c`, it is never imported
there. The request (JSON) comes by standard input and is gone before any test is imported: neither
arguments nor environment hold the channel's number or its nonce. A report is one message on the
channel: the nonce, then fields, joined by the unit separator. What is not reported did not pass;
the exit status and standard output mean nothing.

What the reporting needs is held in closures, and taken before the project's code can replace it.
Code in the same process can still reach it through frames: see refusal.py.
"""

# ruff: noqa: PTH118, PTH119, PTH123, RUF005
from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[..., None]

SEPARATOR = "\x1f"
MESSAGE_CHARACTERS = 500
BLOB_BYTES = 32768


def make_send(channel: int, nonce: str) -> Send:
    """A function that sends its arguments as one message, from this process alone."""
    write, getpid, join, own = os.write, os.getpid, SEPARATOR.join, os.getpid()
    text, raw = str, bytes

    def send(*fields: Any, data: bytes = b"") -> None:
        if getpid() == own:
            head = join((nonce, *(text(field) for field in fields), ""))
            write(channel, raw(head, "utf-8", "replace") + data)

    return send


def make_words() -> Callable[[BaseException], str]:
    """A function that says in a few characters what an exception is."""

    def words(error: BaseException) -> str:
        kind = type(error).__name__
        try:
            said = str(error)
        except Exception:  # the exception is the candidate's own class
            said = "(its text cannot be had)"
        return printable(kind + ": " + said if said else kind)

    return words


def printable(text: str) -> str:
    """One line of printable characters, at most MESSAGE_CHARACTERS."""
    shown = "".join(c if c.isprintable() else " " for c in text[: 4 * MESSAGE_CHARACTERS])
    return " ".join(shown.split())[:MESSAGE_CHARACTERS]


class Reporter:
    """The pytest plugin. Its hooks are attributes made of closures."""

    def __init__(self, request: dict[str, Any], send: Send, contexts: Contexts | None) -> None:
        import pytest

        wanted = set(request["wanted"]) if request["wanted"] is not None else None
        messages: dict[str, str] = {}
        words = make_words()

        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
            if wanted is not None:
                items[:] = [item for item in items if item.nodeid in wanted]
            if request["reverse"]:
                items.reverse()
            for item in items:
                send("item", item.nodeid)
            if contexts:
                contexts.note_fixtures(items)

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtest_makereport(item: Any, call: Any) -> Any:
            if call.excinfo is not None:
                messages[item.nodeid] = words(call.excinfo.value)
            yield

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_logreport(report: Any) -> None:
            send(
                "phase",
                report.nodeid,
                report.when,
                report.outcome,
                int(hasattr(report, "wasxfail")),
                report.duration,
                "" if report.outcome == "passed" else messages.get(report.nodeid, ""),
            )

        @pytest.hookimpl(tryfirst=True)
        def pytest_collectreport(report: Any) -> None:
            if report.failed:
                send("collect", report.nodeid, printable(last_line(str(report.longrepr))))

        self.pytest_collection_modifyitems = pytest_collection_modifyitems
        self.pytest_runtest_makereport = pytest_runtest_makereport
        self.pytest_runtest_logreport = pytest_runtest_logreport
        self.pytest_collectreport = pytest_collectreport
        if contexts:
            self.pytest_runtest_protocol = contexts.protocol_hook()
            self.pytest_fixture_setup = contexts.fixture_hook()


class Unavailable:
    """Options of plugins that a project's settings name and its environment lacks: they are
    taken and ignored, because reports of coverage and the like say nothing of a test."""

    FLAGS = ("--no-cov", "--cov-branch", "--cov-append", "--no-cov-on-fail", "--cov-reset")
    VALUES = (
        "--cov-report",
        "--cov-config",
        "--cov-fail-under",
        "--cov-context",
        "--cov-precision",
    )

    def pytest_addoption(self, parser: Any) -> None:
        group = parser.getgroup("unavailable")
        group.addoption("--cov", action="append", nargs="?", const=True, default=[])
        for name in self.FLAGS:
            group.addoption(name, action="store_true", default=False)
        for name in self.VALUES:
            group.addoption(name, action="append", default=[])


class Contexts:
    """Coverage by test: which lines run while which test, or which shared fixture, is active."""

    def __init__(self, request: dict[str, Any]) -> None:
        lend(request["coverage"])
        import coverage

        self.root: str = request["root"]
        self.measured = coverage.Coverage(
            data_file=None,
            config_file=False,
            include=[self.root + "/*"],
            omit=[self.root + "/" + name + "/*" for name in request["omit"]],
            messages=False,
        )
        self.measured.set_option(
            "run:disable_warnings",
            ["trace-changed", "module-not-measured", "no-data-collected", "no-ctracer"]
            + ["couldnt-parse", "module-not-python", "no-sysmon"],
        )
        self.current = ""
        self.users: dict[str, set[str]] = {}
        self.measured.start()

    def switch(self, context: str) -> str:
        """Makes context the active one; the one before."""
        before, self.current = self.current, context
        self.measured.switch_context(context)
        return before

    def note_fixtures(self, items: list[Any]) -> None:
        """Every test that asks for a shared fixture uses its lines, not the first one alone."""
        for item in items:
            info = getattr(item, "_fixtureinfo", None)
            for definitions in getattr(info, "name2fixturedefs", {}).values():
                for definition in definitions:
                    if definition.scope != "function":
                        self.users.setdefault(fixture_name(definition), set()).add(item.nodeid)

    def protocol_hook(self) -> Any:
        import pytest

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtest_protocol(item: Any) -> Any:
            before = self.switch(item.nodeid)
            yield
            self.switch(before)

        return pytest_runtest_protocol

    def fixture_hook(self) -> Any:
        import pytest

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_fixture_setup(fixturedef: Any, request: Any) -> Any:
            if fixturedef.scope == "function":
                yield
                return
            name = fixture_name(fixturedef)
            if self.current:  # a fixture asked for by name while the test runs is used by it too
                users = self.users.setdefault(name, set())
                users |= self.users.get(self.current, set()) or {self.current}
            before = self.switch(name)
            yield
            self.switch(before)

        return pytest_fixture_setup

    def send(self, send: Send) -> None:
        """The lines as JSON: context names once, then for each file {line: [their numbers]}."""
        self.measured.stop()
        data = self.measured.get_data()
        names: dict[str, int] = {}
        files = {}
        for path in data.measured_files():
            lines = {}
            for line, contexts in data.contexts_by_lineno(path).items():
                lines[line] = [names.setdefault(name, len(names)) for name in contexts]
            files[os.path.relpath(path, self.root).replace(os.sep, "/")] = lines
        users = {name: sorted(tests) for name, tests in self.users.items()}
        told = {"contexts": list(names), "fixtures": users, "files": files}
        send_blob(send, "coverage", json.dumps(told).encode())


def fixture_name(definition: Any) -> str:
    return f"@{definition.baseid}@{definition.argname}"


def lend(package: str) -> None:
    """Makes the coverage package of p2assist importable, and nothing that lies beside it."""
    import importlib.util

    if not package or importlib.util.find_spec("coverage"):
        return
    spec = importlib.util.spec_from_file_location(
        "coverage", package + "/__init__.py", submodule_search_locations=[package]
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["coverage"] = module
    spec.loader.exec_module(module)


def send_blob(send: Send, name: str, data: bytes) -> None:
    """Sends what is too long for one message, in parts; the last one is empty."""
    for start in range(0, len(data), BLOB_BYTES):
        send("blob", name, data=data[start : start + BLOB_BYTES])
    send("blob", name)


def send_compiled(send: Send, root: str) -> None:
    """The compiled files that this run wrote below the root."""
    for folder, names, files in os.walk(root):
        names[:] = [n for n in names if n not in ("site-packages", "node_modules", ".git")]
        if os.path.basename(folder) == "__pycache__":
            for name in files:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    send_blob(send, os.path.relpath(path, root), file.read())


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line[1:] for line in lines if line.startswith("E ")]
    return (errors or lines or [""])[-1]


def take_request() -> dict[str, Any]:
    """Reads standard input to its end and leaves nothing of it to be read again."""
    with open(0, "rb", closefd=False) as stream:
        request: dict[str, Any] = json.loads(stream.read().decode())
    os.truncate(0, 0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return request


def main() -> None:
    request = take_request()
    os.set_inheritable(request["channel"], False)
    send = make_send(request["channel"], request.pop("nonce"))
    try:
        contexts = Contexts(request) if request["coverage"] is not None else None
    except Exception as error:  # a coverage package for another Python fails in any manner
        send("failed", make_words()(error))
        return
    import pytest

    plugins: list[Any] = [Reporter(request, send, contexts)]
    if not request["has_cov"]:
        plugins.append(Unavailable())
    sys.argv = ["pytest"] + request["arguments"]
    started = time.time()
    status = pytest.main(request["arguments"], plugins=plugins)
    if contexts:
        contexts.send(send)
    if request["keep_compiled"]:
        send_compiled(send, request["root"])
    send("end", int(status), time.time() - started)


if __name__ == "__main__":
    main()
