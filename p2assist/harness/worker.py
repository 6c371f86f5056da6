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

# ruff: noqa: PTH118, PTH119, PTH123
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
AS_WANTED = "as wanted"
MESSAGE_CHARACTERS = 500
BLOB_BYTES = 32768


def make_send(channel: int, nonce: str, senders: list[int] | None = None) -> Send:
    """A function that sends its arguments as one message, from this process alone, or from the
    last of senders."""
    write, getpid, join = os.write, os.getpid, SEPARATOR.join
    text, raw = str, bytes
    own = senders or [getpid()]

    def send(*fields: Any, data: bytes = b"") -> None:
        if getpid() == own[-1]:
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

    def __init__(self, request: dict[str, Any], send: Send) -> None:
        import pytest

        wanted = set(request["wanted"]) if request["wanted"] is not None else None
        unwanted = set(request["unwanted"])
        messages: dict[str, str] = {}
        words = make_words()

        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
            if wanted is not None:
                items[:] = [item for item in items if item.nodeid in wanted]
            for item in items:
                send("item", item.nodeid)
            if unwanted:
                items[:] = [item for item in items if item.nodeid not in unwanted]
            reorder(items, request["order"], request["wanted"])

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtest_makereport(item: Any, call: Any) -> Any:
            yield
            if call.excinfo is not None:  # of a unittest case it is put in place on the way
                messages[item.nodeid] = words(call.excinfo.value)

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


def reorder(items: list[Any], order: str, wanted: list[str] | None = None) -> None:
    """order: '' as collected, 'reverse', 'as wanted' (all of the items are), or the seed of a
    shuffle, by which the tests of a file keep together, so that no module's fixture is set up more
    often."""
    if order == "reverse":
        items.reverse()
    elif order == AS_WANTED and wanted is not None:
        places = {node_id: place for place, node_id in enumerate(wanted)}
        items.sort(key=lambda item: places[item.nodeid])
    elif order:
        import random

        draw = random.Random(order).random  # noqa: S311 - a shuffle, not a secret
        files: dict[str, float] = {}
        for item in items:
            files.setdefault(item.nodeid.partition("::")[0], draw())
        keys = {item: (files[item.nodeid.partition("::")[0]], draw()) for item in items}
        items.sort(key=keys.__getitem__)


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


def load_tracer(request: dict[str, Any], send: Send, senders: list[int]) -> Any:
    """The plugin of tracer.py, whose text came with the request."""
    names: dict[str, Any] = {"__name__": "p2assist_tracer"}
    exec(compile(request["tracer"], "<tracer>", "exec"), names)  # noqa: S102 - p2assist's own

    def tell(name: str, data: bytes) -> None:
        send_blob(send, name, data)

    return names["Tracer"](request, tell, lambda: senders.append(os.getpid()))


def main() -> None:
    request = take_request()
    os.set_inheritable(request["channel"], False)
    senders = [os.getpid()]
    send = make_send(request["channel"], request.pop("nonce"), senders)
    try:
        tracer = load_tracer(request, send, senders) if request["tracer"] else None
    except Exception as error:  # a coverage package for another Python fails in any manner
        send("failed", make_words()(error))
        return
    import pytest

    plugins: list[Any] = [Reporter(request, send)]
    if tracer:
        plugins.append(tracer)
    if not request["has_cov"]:
        plugins.append(Unavailable())
    sys.argv = ["pytest"] + request["arguments"]
    started = time.time()
    status = pytest.main(request["arguments"], plugins=plugins)
    if tracer:
        tracer.finish()
    if request["keep_compiled"]:
        send_compiled(send, request["root"])
    send("end", int(status), time.time() - started)


if __name__ == "__main__":
    main()
