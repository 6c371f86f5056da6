from __future__ import annotations

import ast

import pytest

from p2assist.harness.refusal import refuse

PLAIN = "import os\ndef f(x):\n    return x\n"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("import _pytest.runner", "_pytest"),
        ("from pytest import skip", "pytest"),
        ("import ctypes as c", "ctypes"),
        ("from gc import get_objects", "gc, get_objects"),
        ("import sys; sys.modules['_pytest.runner']", "_pytest, sys.modules"),
        ("from sys import modules", "modules"),
        ("import sys; sys._getframe(1)", "_getframe"),
        ("x.f_back.f_locals", "f_back, f_locals"),
        ("(n for n in x).gi_frame", "gi_frame"),
        ("os.write(5, b'passed')", "os.write"),
        ("os.fdopen(5, 'w')", "os.fdopen"),
        ("open(5, 'w')", "open() of a descriptor"),
        ("open('/proc/self/mem')", "/proc/"),
        ("getattr(x, 'f_back')", "f_back"),
        ("__import__('os')", "__import__"),
        ("eval('x')", "eval()"),
        ("os.pytest", "pytest"),
        ("x.__class__.__subclasses__()", "__subclasses__"),
        ("f.__globals__", "__globals__"),
    ],
)
def test_what_could_forge_a_verdict_is_refused_by_name(line: str, named: str) -> None:
    text = PLAIN + f"def g(x):\n    {line}\n"
    why = refuse(ast.parse(text), ast.parse(PLAIN))
    assert why == f"it newly uses {named}"


@pytest.mark.parametrize(
    "line",
    [
        "import re; re.compile('x')",
        "x.write('y'); x.eval(); x.compile()",
        "x['code'], x['inspect'], 'a text about pytest and gc'",
        "open('file', 'w').write('/tmp')",
        "os.getpid(); os._exit(0)",  # ends the process, and forges nothing
        "modules = 1",
    ],
)
def test_ordinary_code_is_not(line: str) -> None:
    assert refuse(ast.parse(PLAIN + f"def g(x):\n    {line}\n"), ast.parse(PLAIN)) == ""


def test_what_the_original_uses_may_be_used() -> None:
    original = ast.parse("import sys\nframe = sys._getframe(0).f_back\n")
    assert refuse(ast.parse("import sys\nf = sys._getframe(2).f_back.f_back\n"), original) == ""
