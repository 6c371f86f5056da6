from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from p2assist.harness.digests import TestDigests

FILES = {
    "lib.py": """
        '''>>> 1
        1
        '''
        def f():
            '''>>> f()
            1
            '''
            return 1
        """,
    "tests/conftest.py": """
        import pytest
        from tests.helpers import connect

        @pytest.fixture(scope="session")
        def base():
            return connect()

        @pytest.fixture(name="named")
        def made():
            return 2

        @pytest.fixture(autouse=True)
        def clean():
            yield 3

        @pytest.fixture
        def other():
            return 4
        """,
    "tests/helpers.py": """
        PORT = 5

        def connect():
            return PORT

        def unused():
            return 6
        """,
    "tests/test_it.py": """
        import pytest, unittest
        from lib import f
        from .helpers import connect as join

        LIMIT = 7
        CASES = [8]

        @pytest.fixture
        def above(base):
            return base

        def check(x):
            assert x < LIMIT

        def test_plain():
            check(f())

        def test_fixture(above):
            assert above

        def test_named(named):
            assert named

        @pytest.mark.parametrize("case", CASES)
        def test_cases(case):
            assert case

        @pytest.mark.usefixtures("other")
        class TestC:
            kind = 9

            def helper(self):
                return 10

            def test_m(self):
                assert self.helper()

            def test_n(self):
                assert 1

        class TestU(unittest.TestCase):
            def setUp(self):
                self.x = 11

            def test_u(self):
                assert self.x
        """,
    "docs/x.txt": ">>> 1\n1\n",
}
TESTS = [
    "test_plain",
    "test_fixture",
    "test_named",
    "test_cases[8]",
    "TestC::test_m",
    "TestC::test_n",
    "TestU::test_u",
]
ALL = [
    "lib.py::lib",
    "lib.py::lib.f",
    "docs/x.txt::x.txt",
    *(f"tests/test_it.py::{t}" for t in TESTS),
]


def digests(root: Path, files: Mapping[str, str]) -> dict[str, str]:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(dedent(text).lstrip())
    contents = {path: (root / path).read_bytes() for path in files if path.endswith(".py")}
    known = TestDigests(root, contents)
    return {node_id.partition("::")[2]: known.of(node_id) for node_id in ALL}


@pytest.mark.parametrize(
    ("path", "before", "after", "changed"),
    [
        ("tests/test_it.py", "assert above", "assert  above  # yes", ""),
        ("tests/test_it.py", "assert above", "assert above > 0", "test_fixture"),
        ("tests/test_it.py", "x < LIMIT", "x <= LIMIT", "test_plain"),
        ("tests/test_it.py", "LIMIT = 7", "LIMIT = 8", "test_plain"),
        ("tests/test_it.py", "CASES = [8]", "CASES = [9]", "test_cases[8]"),
        ("tests/test_it.py", "return base", "return base + 1", "test_fixture"),
        ("tests/test_it.py", "kind = 9", "kind = 10", "TestC::test_m TestC::test_n"),
        ("tests/test_it.py", "return 10", "return 11", "TestC::test_m"),
        ("tests/test_it.py", "self.x = 11", "self.x = 12", "TestU::test_u"),
        ("tests/conftest.py", "return connect()", "return connect() + 1", "test_fixture"),
        ("tests/conftest.py", "return 2", "return 3", "test_named"),
        ("tests/conftest.py", "yield 3", "yield 4", " ".join(TESTS)),
        ("tests/conftest.py", "return 4", "return 5", "TestC::test_m TestC::test_n"),
        ("tests/helpers.py", "PORT = 5", "PORT = 6", "test_fixture"),
        ("tests/helpers.py", "return 6", "return 7", ""),
        ("lib.py", "return 1", "return 2", ""),
        ("lib.py", ">>> f()\n    1", ">>> f()\n    2", "lib.f"),
        ("docs/x.txt", ">>> 1", ">>> 2", "x.txt"),
    ],
)
def test_a_digest_covers_what_the_test_leads_to(
    tmp_path: Path, path: str, before: str, after: str, changed: str
) -> None:
    text = dedent(FILES[path]).lstrip()
    assert before in text
    old = digests(tmp_path, FILES)
    new = digests(tmp_path, {**FILES, path: text.replace(before, after)})
    assert {name for name in old if old[name] != new[name]} == set(changed.split())


def test_what_is_no_function_of_the_file_counts_as_all_of_it(tmp_path: Path) -> None:
    known = TestDigests(tmp_path, {"t.py": b"x = 1\n", "broken.py": b"def f(:\n"})
    assert len(known.of("t.py::made")) == len(known.of("broken.py::test_f")) == 64
    assert known.of("missing.py::test") == ""
