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
        ("import sys as s; s.modules", "sys.modules"),
        ("x.warnings.sys.modules", "sys.modules"),
        ("from warnings import sys as s; s.modules", "sys.modules"),
        ("getattr(os, x)", "the module os as a value"),
        ("s = (os,)[0]", "the module os as a value"),
        ("os.__dict__['wri' + 'te']", "os.__dict__"),
        ("getattr(x, 'f_' + 'back')", "f_back, getattr() of a computed name"),
        ("getattr(x, ''.join(x))", "getattr() of a computed name"),
        ("e = exec", "exec()"),
        ("type('A', (), {'__e' + 'q__': x})", "__eq__, type() of three"),
        ("import pickle", "pickle"),
        ("'PYTEST_CURRENT_TEST' in os.environ", "PYTEST_CURRENT_TEST"),
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
        "x.modules, x.path, self.write",
        "getattr(x, x), getattr(x, 'name'), type(x)",
        "os.path.join(x, 'a' + 'b')",
    ],
)
def test_ordinary_code_is_not(line: str) -> None:
    assert refuse(ast.parse(PLAIN + f"def g(x):\n    {line}\n"), ast.parse(PLAIN)) == ""


def test_what_the_original_uses_may_be_used() -> None:
    original = ast.parse("import sys\nframe = sys._getframe(0).f_back\n")
    assert refuse(ast.parse("import sys\nf = sys._getframe(2).f_back.f_back\n"), original) == ""


def test_an_answer_that_compares_itself_is_refused_within_a_function_alone() -> None:
    method = "class A:\n    def __eq__(self, other):\n        return True\n"
    within = "def g(x):\n" + "".join(f"    {line}\n" for line in method.splitlines())
    assert refuse(ast.parse(PLAIN + method), ast.parse(PLAIN)) == ""
    assert refuse(ast.parse(PLAIN + within), ast.parse(PLAIN)) == (
        "it newly uses __eq__ within a function"
    )
