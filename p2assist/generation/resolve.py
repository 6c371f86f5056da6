"""Names of a file to their definitions elsewhere in the repository, by its imports alone.

Nothing is imported or run, and no installed package is looked into: a library's own names are
what a model was trained on.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from p2assist.generation.syntax import Definition, Import, Module, module

_MOST_BYTES = 1_000_000  # of a file that is read
_MOST_FILES = 512  # whose modules are kept
_MOST_HOPS = 4  # through files that only import a name to pass it on
_WALK_SECONDS = 5.0  # for which the list of files is not made anew
_SKIPPED = {"node_modules", "__pycache__", "site-packages", "build", "dist"}
_SOURCES = ("", "src/")  # folders of the root that absolute imports may start from


@dataclass(frozen=True, slots=True)
class Found:
    """A definition, and the posix path of its file below the root."""

    path: str
    definition: Definition


class Repository:
    """The files of a repository as modules; each is read again when it has changed on the disk.

    overlay, in the methods: texts of unsaved files by path, which stand for those on the disk.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._kept: OrderedDict[str, tuple[tuple[int, int], str]] = OrderedDict()
        self._listed: tuple[float, tuple[str, ...]] = (-_WALK_SECONDS, ())

    def paths(self) -> tuple[str, ...]:
        """Posix paths below the root of its Python files, as they were a few seconds ago at most;
        hidden folders, environments and what is built are left out."""
        now = time.monotonic()
        if now - self._listed[0] >= _WALK_SECONDS:
            self._listed = (now, tuple(self._walk()))
        return self._listed[1]

    def _walk(self) -> Iterator[str]:
        for folder, names, files in os.walk(self.root):
            here = Path(folder)
            names[:] = sorted(
                name
                for name in names
                if not name.startswith(".")
                and name not in _SKIPPED
                and not (here / name / "pyvenv.cfg").exists()
            )
            below = here.relative_to(self.root)
            yield from ((below / name).as_posix() for name in files if name.endswith(".py"))

    def stamp(self, path: str) -> tuple[int, int] | None:
        """What changes when the file does, as far as a clock tells; None where there is none."""
        try:
            state = (self.root / path).stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size

    def text(self, path: str, overlay: Mapping[str, str] = {}) -> str | None:
        """The file's text; None where there is none below the root that can be read."""
        if path in overlay:
            return overlay[path]
        file, stamp = self.root / path, self.stamp(path)
        if stamp is None:
            return None
        if path in self._kept and self._kept[path][0] == stamp:
            self._kept.move_to_end(path)
            return self._kept[path][1]
        try:
            if stamp[1] > _MOST_BYTES or not file.resolve().is_relative_to(self.root):
                return None
            text = file.read_text("utf-8", "replace").replace("\r\n", "\n")
        except OSError:
            return None
        self._kept[path] = (stamp, text)
        while len(self._kept) > _MOST_FILES:
            self._kept.popitem(last=False)
        return text

    def find(
        self,
        name: str,
        path: str,
        here: Module,
        overlay: Mapping[str, str] = {},
    ) -> Found | None:
        """What a name, dotted or not, of the module `here` at path is elsewhere in the repository.

        None for what is defined in the module itself, or not in the repository.
        """
        head, *attributes = name.split(".")
        made = here.imported.get(head)
        if made is None:
            stars = (Import(star, head, head) for star in here.stars)
            candidates: Iterator[Import] = stars if head not in here.definitions else iter(())
        else:
            candidates = iter((made,))
        for candidate in candidates:
            found = self._follow(candidate, attributes, path, overlay, _MOST_HOPS)
            if found and found.path != path:
                return found
        return None

    def _follow(
        self, made: Import, attributes: list[str], path: str, overlay: Mapping[str, str], hops: int
    ) -> Found | None:
        if hops == 0:
            return None
        if made.name:
            names = [made.name, *attributes]
            package = made.module if made.module.strip(".") else f"{made.module}{made.name}"
            if package != made.module:  # from . import name: of __init__.py, or a file beside it
                found = self._attribute(made.module, names, path, overlay, hops)
                return found or self._within(package, attributes, path, overlay, hops)
        else:
            names = attributes
        return self._within(made.module, names, path, overlay, hops)

    def _within(
        self, name: str, names: list[str], path: str, overlay: Mapping[str, str], hops: int
    ) -> Found | None:
        """names of the module of that name: the first of them may be modules themselves."""
        for depth in reversed(range(len(names))):
            inner = ".".join([name, *names[:depth]])
            found = self._attribute(inner, names[depth:], path, overlay, hops)
            if found:
                return found
        return None

    def _attribute(
        self, name: str, attributes: list[str], path: str, overlay: Mapping[str, str], hops: int
    ) -> Found | None:
        """The definition of the first attribute in the module of that name."""
        if not attributes:
            return None
        for file in self._files(name, path):
            text = self.text(file, overlay)
            if text is None:
                continue
            there = module(text)
            if attributes[0] in there.definitions:
                return Found(file, there.definitions[attributes[0]])
            passed = there.imported.get(attributes[0])
            if passed:
                return self._follow(passed, attributes[1:], file, overlay, hops - 1)
        return None

    def _files(self, name: str, path: str) -> Iterator[str]:
        """The files that a module of that name may be, seen from the file at path."""
        dots = len(name) - len(name.lstrip("."))
        rest = name[dots:].replace(".", "/")
        folders = path.split("/")[:-1]
        if dots:
            if dots - 1 > len(folders):
                return
            starts = ["".join(f"{part}/" for part in folders[: len(folders) - (dots - 1)])]
        else:
            starts = [*_SOURCES, self._above(folders)]
        for start in dict.fromkeys(starts):
            if rest:
                yield f"{start}{rest}.py"
                yield f"{start}{rest}/__init__.py"
            else:
                yield f"{start}__init__.py"

    def _above(self, folders: list[str]) -> str:
        """The folder that holds the file's outermost package."""
        depth = len(folders)
        while depth and (self.root / "/".join(folders[:depth]) / "__init__.py").is_file():
            depth -= 1
        return "".join(f"{part}/" for part in folders[:depth])
