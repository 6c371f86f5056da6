"""A place that a person names, FILE:LINE[:COL], as a task."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from p2assist.config import Config
from p2assist.errors import RepositoryError
from p2assist.experience import SpanKind, Task
from p2assist.generation.request import Document
from p2assist.harness.evidence import evidence_at
from p2assist.harness.impact import ImpactMap
from p2assist.harness.outline import outline
from p2assist.tasks.functions import Function, functions
from p2assist.tasks.mining import read_source

_PLACE = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?::(?P<column>\d+))?$")


@dataclass(frozen=True, slots=True)
class Place:
    """file: as given. line, column: 1-based; column None means after the indentation."""

    file: Path
    line: int
    column: int | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """Raises RepositoryError where the text is not FILE:LINE[:COL]."""
        match = _PLACE.match(text)
        if not match:
            raise RepositoryError(f"{text!r} is no place: give FILE:LINE or FILE:LINE:COL")
        column = match["column"]
        return cls(Path(match["file"]), int(match["line"]), int(column) if column else None)

    def path(self, config: Config) -> str:
        """The file's posix path below the root; RepositoryError where it is not below it."""
        for base in (config.root, Path.cwd()):
            file = (base / self.file).resolve()
            if file.is_file() and file.is_relative_to(config.root):
                return file.relative_to(config.root).as_posix()
        raise RepositoryError(f"there is no file {self.file} in {config.root}")


def task_at(
    config: Config, place: Place, kind: SpanKind, impact: ImpactMap | None, commit: str = ""
) -> Task:
    """The task of completing from the place to the end of its line.

    What stands there now is what candidates replace. impact: None leaves the tests empty. Where
    no test covers the line itself (it is new, or no statement starts there) the tests of the
    function around it count. Raises RepositoryError on a place outside the file.
    """
    path = place.path(config)
    source = read_source(config.root / path, path)
    rows = source.split("\n")
    if not 1 <= place.line <= len(rows):
        raise RepositoryError(f"{path} has {len(rows)} lines, not {place.line}")
    row = rows[place.line - 1]
    column = len(row) - len(row.lstrip()) if place.column is None else place.column - 1
    if column > len(row):
        raise RepositoryError(f"{path}:{place.line} has {len(row)} columns, not {column + 1}")
    base = sum(len(r) + 1 for r in rows[: place.line - 1])
    around = _around(source, path, base)
    tests = evidence_at(config.root, impact, path, source, place.line) if impact else ()
    return Task(
        path=path,
        source=source,
        start=base + column,
        end=base + len(row),
        kind=kind,
        function=around.name if around else _named(source, place.line),
        description=around.description if around else "",
        commit=commit,
        tests=tests,
    )


def opened_files(config: Config, files: Iterable[Path]) -> list[Document]:
    """The files as an editor would name them. Raises RepositoryError on one that is not there."""
    return [Document(Place(file, 1).path(config)) for file in files]


def _named(source: str, line: int) -> str:
    """The name of the function around a line of half-written code; '' outside of all."""
    function = outline(source).around(line)
    return function.name.partition("#")[0] if function else ""


def _around(source: str, path: str, offset: int) -> Function | None:
    """The function around the offset; None outside of all, and in half-written code."""
    try:
        found = functions(source, path)
    except RepositoryError:
        return None
    return next((f for f in found if f.start <= offset < f.end), None)
