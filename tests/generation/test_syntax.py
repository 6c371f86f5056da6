from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2assist.generation.syntax import Import, module

SOURCE = '''"""Doc."""
import os
import a.b as c
from . import near, far as away
from ..up import (
    One,
    two as second,
)
from all_of import *

try:
    import fast
except ImportError:
    fast = None

LIMIT: int = 3


@cache
def total(
    first: int,
    *rest: int,
) -> int:
    """The sum.

    More words.
    """
    x = 1
    y = 2
    z = 3
    return first


class Basket(Base):
    """Things."""

    size = 0

    def add(self, thing: str) -> None:
        self.size += 1

    @property
    def full(self) -> bool:
        a = 1
        b = 2
        return self.size > 9
'''


def test_definitions_and_imports_are_found() -> None:
    found = module(SOURCE)
    assert list(found.definitions) == ["fast", "LIMIT", "total", "Basket"]
    assert found.imported["c"] == Import("a.b", "", "c")
    assert found.imported["away"] == Import(".", "far", "away")
    assert found.imported["second"] == Import("..up", "two", "second")
    assert found.stars == ("all_of",)
    assert "fast" in found.imported


def test_the_outline_is_a_line_each() -> None:
    assert module(SOURCE).outline().split("\n") == [
        "import os",
        "import a.b as c",
        "from . import near, far as away",
        "from ..up import (One, two as second)",
        "from all_of import *",
        "import fast",
        "fast = None",
        "LIMIT: int = 3",
        "def total(first: int, *rest: int) -> int: ...",
        "class Basket(Base): ...",
        "    size = 0",
        "    def add(self, thing: str) -> None: ...",
        "    def full(self) -> bool: ...",
        "",
    ]


def test_a_short_definition_is_shown_whole_and_a_long_one_without_bodies() -> None:
    found = module(SOURCE).definitions
    assert found["total"].shown() == (
        'def total(first: int, *rest: int) -> int:\n    """The sum."""\n    ...'
    )
    assert found["Basket"].shown() == (
        'class Basket(Base):\n    """Things."""\n    size = 0\n'
        "    def add(self, thing: str) -> None: ...\n    def full(self) -> bool: ..."
    )
    assert found["Basket"].members[1].shown() == (
        "def add(self, thing: str) -> None:\n    self.size += 1"
    )
    assert found["LIMIT"].shown() == "LIMIT: int = 3"


@pytest.mark.parametrize(
    "cut", ["    return (first +\n", "if x:\n", "def half(a, b\n", "x = [\n", "class C(\n", '"""\n']
)
def test_half_written_code_loses_nothing_above_it(cut: str) -> None:
    assert {"total", "Basket"} <= set(module(SOURCE + cut).definitions)


def test_most_of_what_follows_half_written_code_is_found() -> None:
    found = module("def f(a:\n    return \n\n" + SOURCE)
    assert "Basket" in found.definitions


@given(st.text(alphabet="def class():\n  ,=@a'\"#\\", max_size=60))
def test_any_text_is_a_module(text: str) -> None:
    assert module(text).outline().count("\n") <= text.count("\n") + 40
