from __future__ import annotations

import pytest

from p2assist.harness import outline as outline_module
from p2assist.harness.credit import (
    EVERYONE,
    Covered,
    FileCoverage,
    Sets,
    bit,
    from_json,
    places,
    to_json,
)
from p2assist.harness.outline import Outline, outline

TEXT = '''import os


class A:
    @property
    def f(self):
        """Doc."""
        return 1

    @f.setter
    def f(self, value):
        if value: return
        try:
            self.g(
                value)
        except ValueError:
            pass


def g(a,
      b=1):
    # a comment
    def inner():
        return a
    return inner


if os.name:
    async def h(): return 2
else:
    x = 3
'''


def test_functions_are_outermost_and_known_by_name() -> None:
    found = outline(TEXT)
    assert [(n, f.first, f.begin, f.last) for n, f in found.functions.items()] == [
        ("A.f", 5, 7, 8),
        ("A.f#2", 10, 12, 17),
        ("g", 20, 23, 25),
        ("h", 29, 29, 29),
    ]
    assert found.functions["A.f#2"].statements == (
        *((12, 12), (12, 12), (13, 13), (14, 15), (16, 16), (17, 17)),
    )
    assert found.whole
    around = found.around(24)
    assert around is not None
    assert around.name == "g"
    assert found.around(1) is None


def test_layout_and_comments_are_no_change() -> None:
    one, other = outline(TEXT), outline("# top\n\n" + TEXT.replace("# a comment", "\n\n    # b"))
    for name, f in one.functions.items():
        now = other.functions[name]
        assert (f.header, f.body, len(f.statements)) == (now.header, now.body, len(now.statements))
    assert one.sequence == other.sequence


@pytest.mark.parametrize(
    ("before", "after", "bodies", "at_import"),
    [
        ("return 1", "return 2", {"A.f"}, False),
        ("return a", "return b", {"g"}, False),
        ("b=1", "b=2", set(), True),
        ("@property", "@cached", set(), True),
        ("x = 3", "x = 4", set(), True),
        ("import os", "import os, re", set(), True),
        ("class A:", "class A(B):", set(), True),
        ("if os.name:", "if os.sep:", set(), True),
        ("Doc", "Docs", {"A.f"}, False),
    ],
)
def test_what_has_changed(before: str, after: str, bodies: set[str], at_import: bool) -> None:
    one, other = outline(TEXT), outline(TEXT.replace(before, after))
    assert {n for n, f in one.functions.items() if f.body != other.functions[n].body} == bodies
    assert (one.sequence != other.sequence) == at_import


WHOLE = """
import os

LIMIT = 3


@cache
def first(a, b=LIMIT):
    \"\"\"Says so.\"\"\"
    if a:
        return b
    return os.sep


class Shop:
    name = "shop"

    def total(self):
        return sum(self.prices)

    @property
    def empty(self):
        return not self.prices


def last():
    return 1
"""


def drawn_alone(text: str) -> Outline:
    """The outline of a text by nothing but itself."""
    outline.cache_clear()
    outline_module._recent = outline_module._Recent(4)
    return outline(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return b\n", "return b + 1\n"),
        ("return b\n", "c = b\n        # a comment\n        return c\n"),
        ("    if a:\n        return b\n", ""),
        ("not self.prices", "not (\n            self.prices\n        )"),
        ("LIMIT = 3", "LIMIT = 3; MORE = 4"),
        ("    return 1\n", "    return 1\n\n\ndef one_more():\n    return 2\n"),
        ("    return 1\n", "    return \\\n    1\n"),
        ("class Shop:\n", "class Shop(object):\n"),
    ],
)
def test_what_is_drawn_from_a_text_before_is_what_is_drawn_from_the_text(
    old: str, new: str
) -> None:
    text = WHOLE.replace(old, new)
    assert text != WHOLE
    wanted = drawn_alone(text)
    drawn_alone(WHOLE)
    assert outline(text) == wanted
    assert wanted.whole


@pytest.mark.parametrize("half", ["return b[", "return (b", "if b", "for x in", "return 'b", "b."])
def test_where_a_statement_is_half_written_the_others_are_what_they_were(half: str) -> None:
    text = WHOLE.replace("return b\n", f"{half}\n")
    alone, whole = drawn_alone(text), drawn_alone(WHOLE)
    found = outline(text)
    assert not found.whole
    assert list(found.functions) == list(alone.functions) == list(whole.functions)
    assert found.functions["first"] == alone.functions["first"]
    assert found.functions["Shop.total"] == whole.functions["Shop.total"]
    assert found.sequence == found.module == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = \\"),
        ("    return os.sep", '    """open'),
        ("class Shop:\n", ""),
        ("LIMIT = 3", "@cache"),
    ],
)
def test_what_may_be_one_with_what_is_around_it_is_read_whole(old: str, new: str) -> None:
    text = WHOLE.replace(old, new)
    alone = drawn_alone(text)
    drawn_alone(WHOLE)
    assert outline(text) == alone


def test_names_that_are_given_twice_are_told_apart_over_the_whole_file() -> None:
    text = WHOLE.replace("def last", "def first")
    wanted = drawn_alone(text)
    drawn_alone(WHOLE)
    assert outline(text) == wanted
    assert list(wanted.functions)[-1] == "first#2"


def test_half_written_functions_are_found_by_indentation() -> None:
    text = (
        "class A:\n    @x\n    def f(self):\n        return self.\n\n    def g(self):\n"
        "        x = (\n    async def k(self):\n        pass\ndef z(:\n   x\ny = 1\n"
        "class B(A):\n  def w():\n    s='''\nprose stands here\n'''\n    return 1\n\n"
        "def new(a):\n    "
    )
    found = outline(text)
    assert not found.whole
    assert [(n, f.first, f.last) for n, f in found.functions.items()] == [
        *(("A.f", 2, 4), ("A.g", 6, 7), ("A.k", 8, 9), ("z", 10, 11)),
        *(("B.w", 14, 18), ("new", 20, 21)),
    ]


def test_lines_are_credited_to_statements_and_follow_them() -> None:
    one, two, three = (bit(n) for n in range(3))
    file = FileCoverage.of(outline(TEXT)).credited({1: EVERYONE, 8: one, 14: two, 24: two, 25: one})
    assert file.covering(1, 1) == EVERYONE
    assert file.covering(5, 6) == file.covering(20, 21) == EVERYONE
    assert (file.covering(8, 8), file.covering(15, 15), file.covering(24, 24)) == (one, two, two)
    assert file.covering(23, 25) == one | two
    assert file.covering(17, 18) == 0
    moved = file.moved(
        outline("# a\n" + TEXT.replace("return a", "return a, b").replace("    # a comment\n", ""))
    )
    assert (moved.covering(9, 9), moved.covering(16, 16)) == (one, two)
    assert moved.covering(23, 25) == moved.covering(24, 24) == one | two  # changed: all have all
    again = moved.credited({24: three})
    assert again.covering(24, 24) == one | two | three
    half = file.moved(outline(TEXT.replace("return a", "return (a")))
    assert half.covering(24, 24) == one | two
    assert half.covering(1, 1) == 0


def test_a_file_that_nothing_imports_is_nobodys() -> None:
    assert FileCoverage.of(outline(TEXT)).covering(1, 99) == 0


def test_sets_of_tests() -> None:
    assert list(places(bit(0) | bit(3) | bit(9), 5)) == [0, 3]
    assert list(places(EVERYONE, 3)) == [0, 1, 2]
    covered = Covered(outline(TEXT).functions["g"], bit(1) | bit(2), (bit(1), 0, 0))
    assert covered.covering(23, 23) == bit(1) | bit(2)


def test_what_is_written_is_read() -> None:
    file = FileCoverage.of(outline(TEXT)).credited({1: EVERYONE, 8: bit(700), 14: bit(2)})
    sets = Sets()
    told = to_json(file, sets)
    assert from_json(told, Sets(sets.written)) == file
    assert len(sets.written) == len(set(sets.written)) < 8
