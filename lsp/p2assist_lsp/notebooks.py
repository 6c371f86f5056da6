"""Notebooks: which cells there are, in order, and what stands above a cell."""

from __future__ import annotations

from collections.abc import Mapping

from lsprotocol import types

from p2assist_lsp.session import Session

_MAGIC = ("%", "!", "?")


class Notebooks:
    """The order of every open notebook's cells. Cells of other languages have no session."""

    def __init__(self) -> None:
        self._cells: dict[str, list[str]] = {}

    def opened(self, params: types.DidOpenNotebookDocumentParams) -> None:
        notebook = params.notebook_document
        self._cells[notebook.uri] = [cell.document for cell in notebook.cells]

    def changed(self, params: types.DidChangeNotebookDocumentParams) -> None:
        cells = self._cells.get(params.notebook_document.uri)
        structure = params.change.cells.structure if params.change.cells else None
        if cells is None or structure is None:
            return
        array = structure.array
        added = [cell.document for cell in array.cells or ()]
        cells[array.start : array.start + array.delete_count] = added

    def closed(self, uri: str) -> None:
        self._cells.pop(uri, None)

    def above(self, uri: str, sessions: Mapping[str, Session]) -> str:
        """The code of the cells above this one; '' for a document that is no cell."""
        for cells in self._cells.values():
            if uri in cells:
                known = (sessions.get(one) for one in cells[: cells.index(uri)])
                return "".join(_code(one.document.source) for one in known if one is not None)
        return ""


def _code(source: str) -> str:
    """A cell's lines, those of IPython's own syntax as comments."""
    rows = source.rstrip("\n").split("\n")
    return "".join(f"# {r}\n" if r.lstrip().startswith(_MAGIC) else f"{r}\n" for r in rows)
