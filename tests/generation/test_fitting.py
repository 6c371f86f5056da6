from __future__ import annotations

import pytest

from p2assist.experience import Task
from p2assist.generation.fitting import Surroundings


def around(text: str) -> Surroundings:
    at = text.index("|")
    source = text.replace("|", "", 1)
    return Surroundings.of(Task("a.py", source, at, at))


LOOP = "import a\n\n\ndef f(items):\n    total = 0\n    |\n        total += 1\n    return total\n"
NEW = "def f(items):\n    total = 0\n    |\n\n\ndef g():\n    return 1\n"


def test_a_header_stands_where_what_it_heads_stands_below() -> None:
    assert around(LOOP).fit("for item in items:")
    assert not around(LOOP).fit("total = len(items)")
    assert not around(LOOP).fit("for item in items")


def test_a_header_may_be_without_what_it_heads_yet() -> None:
    assert around(NEW).fit("for item in items:")
    assert around(NEW).fit("total = len(items)")
    assert not around(NEW).fit("total = len(items")


def test_a_header_directly_above_a_line_of_its_own_level_would_head_nothing() -> None:
    text = "def f(items):\n    |\n    return 1\n"
    assert around(text).fit("total = len(items)")
    assert not around(text).fit("if items:")
    assert around(text.replace("\n    return", "\n\n    return")).fit("if items:")
    assert around(text.replace("    return 1", "")).fit("if items:")


def test_a_method_is_read_by_itself() -> None:
    rows = "".join(f"    def g{i}(self):\n        return {i}\n\n" for i in range(500))
    text = (
        f"class A:\n{rows}    @property\n    def f(self):\n        a = 1\n        |\n"
        f"        return a\n\n{rows}    def broken(:\n"
    )
    assert around(text).fit("a += 1")
    assert not around(text).fit("a += ")


def test_half_written_code_elsewhere_does_not_matter() -> None:
    text = "def broken(:\n    pass\n\n\n" + NEW + "\n\nclass (:\n"
    assert around(text).fit("return items")
    assert not around(text).fit("return )")


@pytest.mark.parametrize(
    ("text", "fitting", "not_fitting"),
    [
        ("x = f(|)\n", "a, b", "a, b)"),
        ("x = [\n    1,\n    |\n]\n\ny = 2\n", "2,", "2]"),
        ("@cache\ndef f(|):\n    return a\n", "a, b=1", "a, 1b"),
        ("try:\n    |\nexcept ValueError:\n    pass\n", "go()", "go("),
        ("if a:\n    b()\n|\n    c()\n", "else:", "d()"),
        ("|\n", "import os", "import os import"),
        ("class A:\n    def f(self):\n        |", "return 1", "return 1 1"),
    ],
)
def test_what_goes_on_at_the_margin_belongs_to_the_statement(
    text: str, fitting: str, not_fitting: str
) -> None:
    assert around(text).fit(fitting)
    assert not around(text).fit(not_fitting)


def test_nothing_is_too_odd_to_be_judged() -> None:
    for text in ("\0", "(" * 5000, "'''", "\ud800"):
        assert not around(NEW).fit(text)
