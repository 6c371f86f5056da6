from __future__ import annotations

import ast

from p2assist.pocket.build.functions import SHINGLE, functions, shingles, tokens


def test_tokens_leave_out_comments_and_the_kind_of_quotes() -> None:
    assert tokens("x = 'a # b'  # why\n") == ["x", "=", "a # b"]
    assert tokens('x = "a # b"') == tokens("x = 'a # b'")


def test_shingles_depend_on_order_and_need_enough_tokens() -> None:
    assert shingles(["a", "b", "c", "d", "e"]) != shingles(["b", "a", "c", "d", "e"])
    assert shingles(["a"] * (SHINGLE - 1)) == frozenset()


def test_nested_functions_are_listed_with_their_lines() -> None:
    source = "@wrap\ndef outer(a):\n    def inner(b):\n        return b + 1\n    return inner(a)\n"

    found = {f.name: f for f in functions(ast.parse(source), source, min_tokens=5)}

    assert (found["outer"].first, found["outer"].last) == (1, 5)
    assert (found["inner"].first, found["inner"].last) == (3, 4)
