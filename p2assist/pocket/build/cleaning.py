"""Which files are worth learning from, and what of them."""

from __future__ import annotations

import ast
import re

_SMALLEST, _LARGEST = 250, 200_000  # characters
_LONGEST_LINE = 240
_LITERAL_SHARE = 0.45
_TRAILING = re.compile(r"[ \t\f\v]+$", re.MULTILINE)
_GENERATED = re.compile(
    r"@generated|auto-?generated|generated (?:automatically|by|from)|do not (?:edit|modify)"
    r"|this file (?:was|is) generated", re.IGNORECASE
)  # fmt: skip


def clean(text: str) -> tuple[str, ast.Module] | None:
    """The text without its licence header, and its tree; None if it is not worth keeping."""
    text = text.replace("\r\n", "\n").expandtabs(4).lstrip("\ufeff")
    text = _without_header(_TRAILING.sub("", text))
    if not _SMALLEST <= len(text) <= _LARGEST or "\0" in text:
        return None
    if _GENERATED.search(text[:2000]) or max(map(len, text.split("\n"))) > _LONGEST_LINE:
        return None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    return None if _is_table(tree) else (text, tree)


def _without_header(text: str) -> str:
    lines = text.split("\n")
    first = 0
    while first < len(lines) and (lines[first].startswith("#") or not lines[first].strip()):
        first += 1
    return "\n".join(lines[first:])


def _is_table(tree: ast.Module) -> bool:
    """Whether the file is mostly literals outside docstrings."""
    total = literals = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            total += 1
            literals += isinstance(node, ast.Constant)
    return total > 100 and literals > _LITERAL_SHARE * total
