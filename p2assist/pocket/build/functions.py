"""The functions of a source file as bags of token shingles."""

from __future__ import annotations

import ast
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SHINGLE = 5
"""Tokens in one shingle."""

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<string>(?:[rRbBuUfF]{0,2})(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''
        |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<word>\w+)
    |(?P<mark>[^\w\s])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Function:
    """One function of a file.

    first and last are the numbers (from 1, both included) of its lines, decorators too;
    shingles are the checksums of its token 5-grams without comments and docstring.
    """

    name: str
    first: int
    last: int
    shingles: frozenset[int]


def tokens(source: str) -> list[str]:
    """The tokens of Python source, comments left out, strings without their quotes."""
    found = []
    for match in _TOKEN.finditer(source):
        if match.lastgroup == "comment":
            continue
        text = match.group()
        found.append(text.strip("rRbBuUfF").strip("\"'") if match.lastgroup == "string" else text)
    return found


def shingles(words: list[str]) -> frozenset[int]:
    """The checksums of all runs of SHINGLE tokens."""
    return frozenset(
        zlib.crc32("\0".join(words[i : i + SHINGLE]).encode("utf8", "replace"))
        for i in range(len(words) - SHINGLE + 1)
    )


def functions(tree: ast.Module, source: str, *, min_tokens: int) -> Iterator[Function]:
    """Every function and method of at least min_tokens tokens, nested ones too."""
    lines = source.split("\n")
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        last = node.end_lineno or node.lineno
        text = "\n".join(_without_docstring(node, lines))
        words = tokens(text)
        if len(words) >= min_tokens:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            yield Function(node.name, first, last, shingles(words))


def _without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> list[str]:
    last = node.end_lineno or node.lineno
    head = node.body[0]
    is_doc = (
        isinstance(head, ast.Expr)
        and isinstance(head.value, ast.Constant)
        and isinstance(head.value.value, str)
    )
    if not is_doc or head.lineno == node.lineno:
        return lines[node.lineno - 1 : last]
    return lines[node.lineno - 1 : head.lineno - 1] + lines[(head.end_lineno or head.lineno) : last]
