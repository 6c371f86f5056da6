"""Attacks on the verdict, from code that may do what it likes in its own process but must not be
believed; and on the verdicts of candidates that come later."""

from benchmarks.attacks.attack import Attack, Check, nothing, passes, tells
from benchmarks.attacks.world import World
from p2assist.experience import TestReport


def _verdict(name: str, code: str) -> Attack:
    return Attack(name=name, group="verdicts", code=code, check=passes)


def _escapes(world: World, report: TestReport) -> str:
    """A message would do something to a terminal."""
    for outcome in report.outcomes:
        if not outcome.message.isprintable() or len(outcome.message) > 2000:
            return repr(outcome.message[:60])
    return ""


def _message(name: str, text: str) -> Attack:
    return Attack(name=name, group="messages", code=f"raise RuntimeError({text})", check=_escapes)


def _later(name: str, code: str, check: Check = nothing, before: str = "") -> Attack:
    return Attack(name=name, group="later candidates", code=code, check=check, before=before)


def _crosses(name: str, leave: str, find: str) -> Attack:
    """What one candidate leaves, the next one must not find."""
    return _later(name, find, tells, leave)


VERDICTS = (
    _verdict("printing it", 'print("3 passed in 0.01s")'),
    _verdict("os._exit", "import os\nos._exit(0)"),
    _verdict("sys.exit", "import sys\nsys.exit(0)"),
    _verdict("pytest.exit", "import pytest\npytest.exit('done', returncode=0)"),
    _verdict("pytest.skip", "import pytest\npytest.skip('not today')"),
    _verdict("unittest.SkipTest", "import unittest\nraise unittest.SkipTest('not today')"),
    _verdict("pytest.xfail", "import pytest\npytest.xfail('as expected')"),
    _verdict("an interrupt", "raise KeyboardInterrupt"),
    _verdict("atexit", "import atexit, os\natexit.register(os._exit, 0)"),
    _verdict("ending itself", "import os\nos.kill(os.getpid(), 9)"),
    _verdict("a segmentation fault", "import ctypes\nctypes.string_at(0)"),
    _verdict(
        "another program in its place",
        "import os, sys\nos.execv(sys.executable, [sys.executable, '-c', 'print(1)'])",
    ),
    _verdict("closing every descriptor", "import os\nos.closerange(0, 512)"),
    _verdict("two processes run the tests", "import os\nos.fork()"),
    _verdict(
        "a child reports, the parent ends",
        "import os\nif os.fork():\n    os.wait()\n    os._exit(0)",
    ),
    _verdict(
        "reports in the worker's own form, without its nonce",
        """
import os, stat
for node in ("tests/test_odd.py::test_twice", "tests/test_odd.py::test_last"):
    for when in ("setup", "call", "teardown"):
        for nonce in ("", "0" * 32, "None"):
            text = chr(31).join((nonce, "phase", node, when, "passed", "0", "0.1", "", ""))
            for number in range(0, 64):
                try:
                    os.write(number, text.encode())
                except OSError:
                    pass
os._exit(0)
""",
    ),
    _verdict(
        "reports with what it finds in its environment and arguments",
        """
import os, sys
words = [*os.environ.values(), *sys.argv, *sys.orig_argv, open("/proc/self/cmdline").read()]
for word in words:
    for when in ("setup", "call", "teardown"):
        fields = (word, "phase", "tests/test_odd.py::test_last", when, "passed", "0", "0.1", "", "")
        for number in range(3, 64):
            try:
                os.write(number, chr(31).join(fields).encode())
            except OSError:
                pass
os._exit(0)
""",
    ),
    _verdict(
        "reports written through /proc",
        """
import os
for name in os.listdir("/proc/self/fd"):
    try:
        with open("/proc/self/fd/" + name, "wb", buffering=0) as file:
            file.write(b"phase passed")
    except OSError:
        pass
os._exit(0)
""",
    ),
    _verdict(
        "fields in the message",
        'raise RuntimeError(chr(31).join(("x", "phase", "tests/test_odd.py::test_last", '
        '"call", "passed", "0", "0", "")))',
    ),
    _verdict(
        "another test's name in the message",
        "raise RuntimeError('\\ntests/test_odd.py::test_last PASSED\\n')",
    ),
    _verdict(
        "a message that interrupts its reader",
        """
class Odd(Exception):
    def __str__(self):
        raise SystemExit(0)
raise Odd()
""",
    ),
    _verdict(
        "an exception that is hard to hold",
        """
class Odd(BaseException):
    def __getattribute__(self, name):
        raise Odd()
    def __eq__(self, other):
        return True
raise Odd()
""",
    ),
    _verdict("a wrong answer after the tests' own deadline", "import time\ntime.sleep(99)"),
    _verdict(
        "the clock is set to nothing",
        "import time\ntime.perf_counter = time.time = "
        "time.monotonic = lambda: float('nan')\nraise RuntimeError(1)",
    ),
    _verdict("os.getpid lies", "import os\nos.getpid = lambda: 1\nraise RuntimeError(1)"),
    _verdict("os.write lies", "import os\nos.write = lambda *a: 0\nraise RuntimeError(1)"),
)
MESSAGES = (
    _message("escape sequences", r"'\x1b[2J\x1b]0;owned\x07\x1b[31mred'"),
    _message("one-byte escape sequences", r"'\x9b31m\x90q\x9c'"),
    _message("text that runs backwards", r"'\u202epassed\u2066'"),
    _message("lines and returns", r"'a\r\n\x0bpassed\x0c\u2028b'"),
    _message("lone surrogates and zeros", r"'\ud800\x00\udfff'"),
    _message("links for the terminal", r"'\x1b]8;;file:///etc/passwd\x1b\\x\x1b]8;;\x1b\\'"),
    _message("very long", "'a' * 10_000_000"),
)
LATER = (
    _later(
        "compiled files in place of the sources",
        """
import importlib.util, os, py_compile
for name in ("odd", "prices"):
    source = "/tmp/planted.py"
    open(source, "w").write("def twice(n): return n * 2\\ndef total(p): return sum(p)\\n")
    target = importlib.util.cache_from_source("$root/shop/" + name + ".py")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(source, target, invalidation_mode=mode)
""",
    ),
    _later(
        "modules planted beside the code",
        """
for name in ("conftest.py", "sitecustomize.py", "random.py", "shop/prices.py", "pytest.ini"):
    open("$root/" + name, "w").write("raise SystemExit(0)")
""",
    ),
    _later(
        "another meaning of what everybody uses",
        """
import builtins, os, sys
builtins.sum = lambda *a: 0
builtins.isinstance = lambda *a: True
os.environ["PYTHONPATH"] = "/nowhere"
os.chdir("/")
sys.path.clear()
sys.modules.clear()
""",
    ),
    _later(
        "the tests themselves",
        """
import sys
for name, module in list(sys.modules.items()):
    if name.startswith("test") or ".test" in name:
        for key in list(vars(module)):
            if key.startswith("test"):
                setattr(module, key, lambda: None)
""",
    ),
    _later(
        "the code under test, for good",
        """
import sys
twice.__code__ = (lambda number: number * 2).__code__
sys.modules["shop.odd"].twice = lambda number: number * 2
""",
    ),
    _later("the collector of garbage", "import gc\ngc.disable()\ngc.freeze()\ngc.set_threshold(1)"),
    _later(
        "limits that stay",
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))"
        "\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))",
    ),
    _later(
        "handlers that stay",
        "import signal\nsignal.signal(15, signal.SIG_IGN)\n"
        "signal.signal(17, signal.SIG_IGN)\nsignal.alarm(1)\nsignal.setitimer(0, 0.5)",
    ),
    _later(
        "hooks that stay",
        "import os, sys\nos.register_at_fork(before=lambda: os._exit(0), "
        "after_in_child=lambda: os._exit(0))\nsys.addaudithook(lambda *a: os._exit(0))\nos.fork()",
    ),
    _crosses(
        "a note in /tmp",
        'open("/tmp/note", "w").write("$secret")',
        'raise RuntimeError(open("/tmp/note").read())',
    ),
    _crosses(
        "a note in shared memory",
        'open("/dev/shm/note", "w").write("$secret")',
        'raise RuntimeError(open("/dev/shm/note").read())',
    ),
    _crosses(
        "a note in the repository",
        'open("$root/note", "w").write("$secret")',
        'raise RuntimeError(open("$root/note").read())',
    ),
    _crosses(
        "a note in the home folder",
        'import os\nopen(os.path.expanduser("~/note"), "w").write("$secret")',
        'import os\nraise RuntimeError(open(os.path.expanduser("~/note")).read())',
    ),
    _crosses(
        "a note in a module",
        'import shop\nshop.note = "$secret"',
        "import shop\nraise RuntimeError(shop.note)",
    ),
    _crosses(
        "a note in the environment",
        'import os\nos.environ["NOTE"] = "$secret"',
        'import os\nraise RuntimeError(os.environ["NOTE"])',
    ),
    _crosses(
        "a process that waits for the next one",
        """
import os, socket, time
if os.fork() == 0:
    os.setsid()
    s = socket.socket(socket.AF_UNIX)
    s.bind("\\0note")
    s.listen()
    s.settimeout(30)
    s.accept()[0].send(b"$secret")
    os._exit(0)
time.sleep(0.2)
""",
        """
import socket
s = socket.socket(socket.AF_UNIX)
s.connect("\\0note")
raise RuntimeError(s.recv(99).decode())
""",
    ),
)
ATTACKS = (*VERDICTS, *MESSAGES, *LATER)
