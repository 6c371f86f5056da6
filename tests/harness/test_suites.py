"""Real suites: what they are made of is mapped, and every verdict is plain pytest's."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from p2assist.config import Config, UserConfig
from p2assist.experience import Outcome
from p2assist.harness import impact, rounds
from p2assist.harness.impact import ImpactMap
from p2assist.harness.tester import SubprocessTester, WarmTester

from .helpers import bare_python, make_task, plain_outcomes, settings, write

PLUGINS = (
    *("pytest-asyncio", "anyio", "idna", "typing_extensions", "pytest-mock"),
    *("pytest-cov", "coverage", "pytest-xdist", "execnet", "hypothesis", "sortedcontainers"),
    *("pytest-django", "Django", "asgiref", "sqlparse"),
)

PLUGGED = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        addopts = "-n 2 --cov=shop --cov-fail-under=100 -x"
        asyncio_mode = "auto"
        """,
    "shop/__init__.py": "",
    "shop/core.py": """
        import asyncio

        async def fetch(n):
            await asyncio.sleep(0)
            return n + 1

        def words(text):
            return text.split()

        def opened(name):
            return [name]

        def send(post, n):
            return post(n * 2)

        def double(n):
            return n + n

        class Till:
            def __init__(self):
                self.sum = 0

            def add(self, n):
                self.sum += n
                return self.sum

            def half(self):
                return self.sum // 2
        """,
    "conftest.py": """
        import pytest
        from shop import core

        @pytest.fixture(scope="session")
        def base():
            yield core.opened("session")
        """,
    "tests/conftest.py": """
        import pytest
        from shop import core

        @pytest.fixture(scope="package")
        def packed(base):
            return base + core.opened("package")

        @pytest.fixture(scope="module")
        def moded(packed):
            return packed + core.opened("module")

        @pytest.fixture(scope="class")
        def classed(moded):
            return moded + core.opened("class")
        """,
    "tests/test_async.py": """
        import pytest
        from shop.core import fetch

        async def test_fetch():
            assert await fetch(1) == 2

        class TestAsync:
            async def test_in_class(self):
                assert await fetch(2) == 3
        """,
    "tests/test_anyio.py": """
        import pytest
        from shop.core import fetch

        pytestmark = pytest.mark.anyio

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        async def test_anyio(anyio_backend):
            assert await fetch(3) == 4
        """,
    "tests/test_cases.py": """
        import pytest
        from hypothesis import given, strategies as st
        from shop.core import double, send, words

        @pytest.mark.parametrize("text", ["a b", "[x] y", "é ü", "a::b c", "", "p/q r"])
        def test_words(text):
            assert len(words(text)) == (2 if text else 0)

        @pytest.mark.parametrize("a", [1, 2])
        @pytest.mark.parametrize("b", [pytest.param(3, id="the third one")])
        def test_double(a, b):
            assert double(a * b) == 2 * a * b

        @given(st.integers())
        def test_any(n):
            assert double(n) == 2 * n

        def test_send(mocker):
            post = mocker.Mock(return_value=9)
            assert send(post, 2) == 9
            post.assert_called_once_with(4)
        """,
    "tests/test_scopes.py": """
        def test_module(moded):
            assert len(moded) == 3

        class TestClass:
            def test_class(self, classed):
                assert classed[-1] == "class"

            def test_dynamic(self, request):
                assert request.getfixturevalue("base") == ["session"]
        """,
    "tests/test_unit.py": """
        import unittest
        from shop.core import Till

        class TestTill(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.till = Till()
                cls.till.add(4)

            def test_half(self):
                self.assertEqual(self.till.half(), 2)

            def test_each(self):
                for n in (1, 2):
                    with self.subTest(n=n):
                        till = Till()
                        self.assertEqual(till.add(n), n)
        """,
}
LAID_OUT = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        addopts = "--doctest-modules --doctest-glob=*.rst"
        testpaths = ["src", "docs", "tests"]
        pythonpath = ["src"]
        consider_namespace_packages = true
        """,
    "src/space/part/__init__.py": "",
    "src/space/part/core.py": """
        def inc(n):
            '''One more.

            >>> inc(1)
            2
            '''
            return n + 1


        def dec(n):
            return n - 1
        """,
    "src/space/fast/__init__.py": "from space.fast._speed import twice\n",
    "src/space/fast/slow.py": """
        from space.fast import twice


        def four(n):
            return twice(twice(n))
        """,
    "docs/use.rst": """
        >>> from space.part.core import dec
        >>> dec(3)
        2
        """,
    "tests/deep/test_it.py": """
        from space.fast.slow import four
        from space.part.core import dec

        def test_four():
            assert four(3) == 12

        def test_dec():
            assert dec(1) == 0
        """,
}
DJANGO = {
    "pytest.ini": """
        [pytest]
        DJANGO_SETTINGS_MODULE = site_settings
        python_files = tests.py
        """,
    "site_settings.py": """
        SECRET_KEY = "x"
        INSTALLED_APPS = ["books"]
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        USE_TZ = True
        """,
    "books/__init__.py": "",
    "books/models.py": """
        from django.db import models


        class Book(models.Model):
            title = models.CharField(max_length=50)

            def shout(self):
                return self.title.upper()


        def count():
            return Book.objects.count()
        """,
    "books/tests.py": """
        import pytest
        from django.test import TestCase
        from books.models import Book, count

        class BookTest(TestCase):
            @classmethod
            def setUpTestData(cls):
                Book.objects.create(title="a")

            def test_shout(self):
                self.assertEqual(Book.objects.get().shout(), "A")

            def test_count(self):
                self.assertEqual(count(), 1)

        @pytest.mark.django_db
        def test_empty():
            assert count() == 0
        """,
}
SPEED = """
#include <Python.h>
static PyObject *twice(PyObject *self, PyObject *n) { return PyNumber_Add(n, n); }
static PyMethodDef methods[] = {{"twice", twice, METH_O, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_speed", "", -1, methods};
PyMODINIT_FUNC PyInit__speed(void) { return PyModule_Create(&module); }
"""


@dataclass(frozen=True)
class Suite:
    config: Config
    known: ImpactMap
    plain: SubprocessTester
    warm: WarmTester


def suite(root: Path, files: Mapping[str, str]) -> Suite:
    config = settings(write(root, files))
    config = replace(config, user=UserConfig(python=str(bare_python(*PLUGINS))))
    known = impact.build(config)
    return Suite(config, known, SubprocessTester(config, known), WarmTester(config, known))


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Suite]]:
    found: dict[str, Suite] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "_QUICK", 0.0)
        try:
            for name, files in (("plugged", PLUGGED), ("laid out", LAID_OUT), ("django", DJANGO)):
                root = tmp_path_factory.mktemp(name.replace(" ", "_")) / "repo"
                if name == "laid out":
                    compiled(root / "src/space/fast")
                found[name] = suite(root, files)
            yield found
        finally:
            for made in found.values():
                made.warm.close()
            shutil.rmtree(bare_python(*PLUGINS).parents[1], ignore_errors=True)


def compiled(folder: Path) -> None:
    """Builds the extension module there; without a compiler, Python stands in for it."""
    folder.mkdir(parents=True)
    compiler, include = shutil.which("cc"), sysconfig.get_path("include")
    if not compiler or not (Path(include) / "Python.h").is_file():
        (folder / "_speed.py").write_text("def twice(n):\n    return n + n\n")
        return
    source = folder / "_speed.c"
    source.write_text(SPEED)
    target = folder / f"_speed{sysconfig.get_config_var('EXT_SUFFIX')}"
    command = [compiler, "-shared", "-fPIC", "-I", include, str(source), "-o", str(target)]
    subprocess.run(command, check=True)


WORDS = [f"test_words[{n}]" for n in ("a b", "[x] y", r"\xe9 \xfc", "a::b c", "", "p/q r")]
SCOPES = ["test_module", "TestClass::test_class", "TestClass::test_dynamic"]
ASYNC = ["test_anyio", "test_fetch", "TestAsync::test_in_class"]
CORE, PART, SLOW = "shop/core.py", "src/space/part/core.py", "src/space/fast/slow.py"
MODELS = "books/models.py"


@pytest.mark.parametrize(
    ("name", "path", "span", "wrong", "tests"),
    [
        ("plugged", CORE, "return n + 1", "return n", ASYNC),
        ("plugged", CORE, "return text.split()", "return text.split('x')", WORDS),
        ("plugged", CORE, "return [name]", "return [1]", SCOPES),
        ("plugged", CORE, "return post(n * 2)", "return post(n * 3)", ["test_send"]),
        (
            *("plugged", CORE, "return n + n", "return n * 3"),
            ["test_double[the third one-1]", "test_double[the third one-2]", "test_any"],
        ),
        ("plugged", CORE, "return self.sum // 2", "return 7", ["TestTill::test_half"]),
        (
            *("plugged", CORE, "return self.sum\n", "return 7\n"),
            ["TestTill::test_each", "TestTill::test_half"],
        ),
        ("laid out", PART, "return n + 1", "return n", ["space.part.core.inc"]),
        ("laid out", PART, "return n - 1", "return n", ["use.rst", "test_dec"]),
        ("laid out", SLOW, "return twice(twice(n))", "return twice(n)", ["test_four"]),
        ("django", MODELS, "return self.title.upper()", "return 1", ["BookTest::test_shout"]),
        (
            *("django", MODELS, "return Book.objects.count()", "return 1"),
            ["BookTest::test_count", "test_empty"],
        ),
    ],
)
def test_the_map_and_both_testers_agree_with_plain_pytest(
    suites: dict[str, Suite],
    tmp_path: Path,
    name: str,
    path: str,
    span: str,
    wrong: str,
    tests: list[str],
) -> None:
    used = suites[name]
    task = make_task(used.config, used.known, path, span)
    assert sorted(t.node_id.partition("::")[2] for t in task.tests) == sorted(tests)
    files = dict.fromkeys(test.node_id.partition("::")[0] for test in task.tests)
    options = ("-n0", "--no-cov", "--maxfail=0", *files)
    wanted = plain_outcomes(used.config, task, wrong, tmp_path, *options)
    for tester in (used.plain, used.warm):
        report = tester.test(task, wrong)
        assert {o.node_id: o.outcome.value for o in report.outcomes} == {
            test.node_id: wanted[test.node_id] for test in task.tests
        }
    assert used.warm.test(task, span).passes_all


def test_every_test_of_the_suites_counts(suites: dict[str, Suite]) -> None:
    for name, used in suites.items():
        left_out = [(t.node_id, t.unstable or t.message) for t in used.known.tests if not t.counts]
        assert left_out == [], name
        assert used.known.uncollected == {}
        assert all(t.outcome is Outcome.PASSED for t in used.known.tests)
