from __future__ import annotations

import pytest
from p2assist_lsp.places import (
    function_at,
    in_comment,
    in_string,
    opens_block,
    task_at,
    word_follows,
)

from p2assist.experience import SpanKind

CODE = '''import os

class Shop(
    Base,
):
    """Words # no comment
    """

    async def total(self, items):
        # def commented(self):
        def each(item):
            return item
        for item in items:
            x = "it's # none"  # one

    size = 1

def after(): return 1
last =
'''


@pytest.mark.parametrize(
    ("mark", "function"),
    [
        ("import os", ""),
        ("    Base", ""),
        ("return item\n", "Shop.total"),
        ("x = ", "Shop.total"),
        ("for item", "Shop.total"),
        ("size = ", ""),
        ("def after", "after"),
        ("last =", ""),
    ],
)
def test_the_outermost_function_by_indentation(mark: str, function: str):
    assert function_at(CODE, CODE.index(mark) + len(mark) - 1) == function


def test_the_cursors_column_counts_on_an_empty_line():
    code = "def f():\n    x = 1\n    \n"
    assert function_at(code, len(code) - 1) == "f"
    assert function_at(code, len(code)) == ""


@pytest.mark.parametrize(
    ("code", "opens"),
    [
        ("def f():\n    ", True),
        ("if x:  # why\n    ", True),
        ("for x in y:\n\n    ", True),
        ("x = 1\n", False),
        ("def f():\n    x", False),
        ("x = {1:\n", True),  # cheap, and wrong here: told without parsing
    ],
)
def test_whether_a_block_is_opened(code: str, opens: bool):
    assert opens_block(code, len(code)) is opens


def test_a_block_is_asked_for_where_long_answers_are_wanted():
    code = "def f():\n    "
    assert task_at("a.py", code, len(code)).kind is SpanKind.LINE
    task = task_at("a.py", code, len(code), long=True)
    assert (task.kind, task.function, task.start, task.end) == (SpanKind.BLOCK, "f", 13, 13)
    assert task_at("a.py", "x = ", 4, long=True).kind is SpanKind.LINE


@pytest.mark.parametrize(
    ("mark", "string", "comment"),
    [
        ("Words # no", True, False),
        ("it's # no", True, False),
        ("# one", False, True),
        ("# def comm", False, True),
        ("size = ", False, False),
    ],
)
def test_strings_and_comments(mark: str, string: bool, comment: bool):
    at = CODE.index(mark) + len(mark)
    assert in_string(CODE, at) is string
    assert in_comment(CODE, at) is comment


def test_a_word_that_goes_on_right_of_the_cursor():
    assert word_follows("ab", 1)
    assert word_follows("a_", 1)
    assert not word_follows("a b", 1)
    assert not word_follows("a", 1)
