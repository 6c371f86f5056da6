from __future__ import annotations

from textwrap import dedent

import pytest

from p2assist.harness.naming import find_named

FILES = {
    "lib.py": "",
    "other.py": "",
    "test_it.py": """
        from lib import new as fresh, Box
        import lib, pytest

        def test_name():
            assert fresh(1)

        def test_attribute():
            assert lib.new(1)

        @pytest.mark.parametrize("x", [1])
        def test_cases(x):
            assert fresh(x)

        class TestBox:
            def test_method(self, box):
                assert box.size()

            def test_made(self):
                assert Box(1)

        def test_imports():
            from lib import late
            assert late

        def test_nothing():
            assert 1
        """,
    "test_other.py": """
        from other import new

        def test_new():
            assert new(1)
        """,
    "half_test.py": "import lib\ndef test_new(:\n",
    "helper.py": "import lib\ndef test_new():\n    lib.new()\n",
}
CONTENTS = {path: dedent(text).encode() for path, text in FILES.items()}


@pytest.mark.parametrize(
    ("function", "names"),
    [
        ("new", ["test_name", "test_attribute", "test_cases"]),
        ("late", ["test_imports"]),
        ("Box.size", ["TestBox.test_method"]),
        ("Box.__init__", ["TestBox.test_made"]),
        ("Crate.size", []),
        ("unheard_of", []),
    ],
)
def test_tests_are_found_by_the_names_in_them(function: str, names: list[str]) -> None:
    found = find_named(CONTENTS, "lib.py", function)
    assert [named.name for named in found] == names
    assert {named.path for named in found} <= {"test_it.py"}


def test_node_ids_are_known_of_what_is_not_parametrised() -> None:
    found = {n.name: n for n in find_named(CONTENTS, "lib.py", "new")}
    assert found["test_cases"].cases
    assert found["test_name"].node_id == "test_it.py::test_name"
    (method,) = find_named(CONTENTS, "lib.py", "Box.size")
    assert method.node_id == "test_it.py::TestBox::test_method"
