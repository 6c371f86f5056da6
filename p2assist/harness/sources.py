"""What the harness reads from source text."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path
from threading import Lock

from p2assist.harness import tree

_lock = Lock()  # warnings' filters are the whole process's


def parse(text: str | bytes, name: str = "<candidate>") -> ast.Module:
    """The syntax tree, without the warnings that the text may deserve.

    Raises SyntaxError, also for what ast.parse calls a ValueError (null bytes).
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text, name)
        except ValueError as error:
            raise SyntaxError(str(error)) from error


def first_syntax_error(root: Path) -> str:
    """'path, line n: message' of the first file that does not parse; '' where all do."""
    for path in tree.python_files(root):
        try:
            parse((root / path).read_bytes(), path)
        except SyntaxError as error:
            return f"{path}, line {error.lineno or 1}: {error.msg}"
        except (OSError, RecursionError):
            continue
    return ""
