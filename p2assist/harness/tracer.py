"""What the worker runs besides while the suite is mapped: which lines run for which test.

Standard library and Python 3.8 or newer, like the worker; its text comes with the request. Each
test runs alone, in a fork of the process that collected: what it needs of shared fixtures, caches
and late imports it does itself, so that it is credited for all of it, and what it says does not
hang on the tests before it. When `alone_seconds` are over (set-ups that take long), the tests that
are left share one process; a shared fixture's lines then go to all that ask for it.
"""

# ruff: noqa: RUF005
from __future__ import annotations

import json
import os
import random
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 600.0  # seconds for one test alone; then it is killed, and crashed
_ALONE = "\x00alone"


class Tracer:
    """The pytest plugin. send_blob: sends a name and the bytes that go by it. renew: makes the
    process that calls it the one that may send."""

    def __init__(
        self,
        request: dict[str, Any],
        send_blob: Callable[[str, bytes], None],
        renew: Callable[[], None],
    ) -> None:
        lend(request["coverage"])
        os.environ["COVERAGE_CORE"] = "ctrace"  # sys.monitoring tells of a line only once
        import coverage

        self.root: str = request["root"]
        self.send_blob, self.renew = send_blob, renew
        self.deadline = time.monotonic() + request["alone_seconds"]
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
        self.alone = False
        self.users: dict[str, set[str]] = {}
        self.measured.start()
        del os.environ["COVERAGE_CORE"]
        self.pytest_runtestloop = self.loop_hook()
        self.pytest_runtest_protocol = self.protocol_hook()
        self.pytest_fixture_setup = self.fixture_hook()

    def switch(self, context: str) -> str:
        """Makes context the active one; the one before."""
        before, self.current = self.current, context
        self.measured.switch_context(context)
        return before

    def loop_hook(self) -> Any:
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtestloop(session: Any) -> Any:
            if session.config.option.collectonly:
                return None
            items = list(session.items)
            self.note_fixtures(items)
            self.measured.get_data()  # what ran so far is of no test: no child needs to tell it
            for number, item in enumerate(items):
                if time.monotonic() < self.deadline:
                    self.run_alone(number, item)
                else:
                    after = items[number + 1] if number + 1 < len(items) else None
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            return True

        return pytest_runtestloop

    def run_alone(self, number: int, item: Any) -> None:
        """Runs the test in a child, which reports for itself."""
        sys.stdout.flush()
        sys.stderr.flush()
        seeded = random.getstate()  # a fork seeds the generator anew
        child = os.fork()
        if child:
            wait(child, time.monotonic() + _LONGEST)
            return
        try:
            self.renew()
            self.alone = True
            random.setstate(seeded)
            capture = item.config.pluginmanager.getplugin("capturemanager")
            if capture is not None:  # its files would be shared with the parent
                capture.stop_global_capturing()
                capture.start_global_capturing()
            self.switch(_ALONE)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            self.measured.stop()
            told = {"test": item.nodeid, "files": self.lines_of(_ALONE)}
            self.send_blob(f"alone{number}", json.dumps(told).encode())
        finally:
            os._exit(0)

    def lines_of(self, context: str) -> dict[str, list[int]]:
        data = self.measured.get_data()
        data.set_query_context(context)
        found = {self.relative(path): data.lines(path) for path in data.measured_files()}
        data.set_query_contexts(None)
        return {path: lines for path, lines in found.items() if lines}

    def relative(self, path: str) -> str:
        return os.path.relpath(path, self.root).replace(os.sep, "/")

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
            if self.alone:
                yield
                return
            before = self.switch(item.nodeid)
            yield
            self.switch(before)

        return pytest_runtest_protocol

    def fixture_hook(self) -> Any:
        import pytest

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_fixture_setup(fixturedef: Any, request: Any) -> Any:
            if fixturedef.scope == "function" or self.alone:
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

    def finish(self) -> None:
        """Sends what ran outside of children: context names once, then for each file
        {line: [their numbers]}; '' is of no test."""
        self.measured.stop()
        data = self.measured.get_data()
        names: dict[str, int] = {}
        files = {}
        for path in data.measured_files():
            lines = {}
            for line, contexts in data.contexts_by_lineno(path).items():
                lines[line] = [names.setdefault(name, len(names)) for name in contexts]
            files[self.relative(path)] = lines
        users = {name: sorted(tests) for name, tests in self.users.items()}
        told = {"contexts": list(names), "fixtures": users, "files": files}
        self.send_blob("coverage", json.dumps(told).encode())


def wait(child: int, deadline: float) -> None:
    """Waits for the child's end; kills it at the deadline."""
    pause = 0.0002
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


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
