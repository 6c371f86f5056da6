"""Which of the open documents hold what their files do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from p2assist.generation.request import Document
from p2assist_lsp.text import newlines


def unsaved(root: Path, documents: Sequence[Document]) -> dict[str, str]:
    """The texts of those Python files, by path below the root. Reads the files."""
    found = {}
    for document in documents:
        path, text = document.path, document.text
        if text is not None and path.endswith(".py") and _on_disk(root / path) != text:
            found[path] = text
    return found


def _on_disk(file: Path) -> str | None:
    try:
        return newlines(file.read_bytes().decode("utf-8", "surrogateescape"))
    except OSError:
        return None
