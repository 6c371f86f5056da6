"""The last green tree: file contents that the suite ran well with, kept by digest.

What stands in an editor, or on the disk, is half-written most of the time and fails everything.
The map is of the last contents that did not; they are laid over the tree wherever what stands
there now does not parse or breaks tests.
"""

from __future__ import annotations

import hashlib
import tokenize
from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO, TextIOWrapper

from p2assist.config import Config
from p2assist.errors import HarnessError
from p2assist.experience import Task
from p2assist.harness import reading, tree
from p2assist.harness.mapping import ImpactMap, write_atomically
from p2assist.harness.outline import outline
from p2assist.harness.overlay import Laid, encode, real_path
from p2assist.harness.sandbox import Files
from p2assist.harness.splice import differing, splice
from p2assist.harness.statement import isolate

FOLDER = "green"
_NAMED = 3  # functions that a note names


class Contents:
    """Contents of files by the SHA-256 of their bytes, in the state folder."""

    def __init__(self, config: Config) -> None:
        self._folder = config.state / FOLDER

    def keep(self, contents: Iterable[bytes]) -> None:
        """Raises HarnessError where they cannot be written."""
        for content in contents:
            file = self._folder / hashlib.sha256(content).hexdigest()
            if not file.is_file():
                try:
                    write_atomically(file, content)
                except OSError as error:
                    raise HarnessError(f"the last green tree cannot be kept: {error}") from error

    def get(self, digest: str) -> bytes | None:
        """None where it was not kept, or is damaged."""
        try:
            content = (self._folder / digest).read_bytes()
        except OSError:
            return None
        return content if hashlib.sha256(content).hexdigest() == digest else None

    def drop_others(self, digests: Iterable[str]) -> None:
        """Removes what none of the digests asks for."""
        wanted = set(digests)
        for file in self._folder.iterdir() if self._folder.is_dir() else ():
            if file.name not in wanted:
                file.unlink(missing_ok=True)


class GreenTree:
    """An Overlay: the last green tree with the candidate in it.

    Where the task's buffer differs from the last green file in more than the function that the
    span is in, that function is put into the green file, with what it newly uses. Other files that
    do not parse, or were found to break tests, are as they were when they last did neither; but a
    file of tests that the map does not know stands as it is for the sake of these.
    """

    def __init__(self, config: Config, impact: ImpactMap) -> None:
        self._root, self._impact = config.root, impact
        self._contents = Contents(config)
        self._parses: dict[str, tuple[tuple[int, int, int], bool]] = {}

    def lay(self, task: Task, text: str) -> Laid:
        path, known = real_path(self._root, task.path), self._impact.by_id
        own = self._own(path, task, text)
        unknown = (test.node_id for test in task.tests if test.node_id not in known)
        strangers = {node_id.partition("::")[0] for node_id in unknown}
        others = self._held() | {file: self._on_disk(file) for file in strangers}
        others.pop(path, None)
        return replace(own, files=(*own.files, *others.items()))

    def _on_disk(self, path: str) -> bytes:
        try:
            return (self._root / path).read_bytes()
        except OSError as error:
            raise HarnessError(f"{path} cannot be read: {error}") from error

    def base(self) -> Files:
        return tuple(self._held().items())

    def _own(self, path: str, task: Task, text: str) -> Laid:
        """The candidate's file."""
        applied = task.apply(text)
        green = self._green(path)
        if green is None or green == task.source:
            return Laid(((path, encode(applied)),), task.source)
        as_it_is = Laid(((path, encode(applied)),), green)
        was, now = _differing_part(green, applied, task.line)
        function = outline(now).around(task.line)
        if function is None:
            return as_it_is
        whole, others = outline(now).whole, differing(was, now, function.name)
        spliced = splice(green, applied, function.name) if others or not whole else None
        if spliced is None:
            return as_it_is
        shown = ", ".join(others[:_NAMED]) + (", ..." if len(others) > _NAMED else "")
        why = f"{shown} changed" if whole else "the file does not parse"
        note = f"tested in the last green {task.path}: since then {why}"
        return Laid(((path, encode(spliced)),), green, note)

    def _green(self, path: str) -> str | None:
        content = self._contents.get(self._impact.files.get(path, ""))
        return None if content is None else decode(content)

    def _held(self) -> dict[str, bytes]:
        """The last green contents of files that are not green now."""
        found = {}
        for path, digest in self._impact.files.items():
            if path in self._impact.held or not self._stands(path, digest):
                content = self._contents.get(digest)
                if content is not None:
                    found[path] = content
        new = (path for path in self._impact.held if path not in self._impact.files)
        return found | dict.fromkeys(new, b"")

    def _stands(self, path: str, digest: str) -> bool:
        """Whether the file is as it was mapped, or parses at least. Each state is read once."""
        stamp = tree.stamp(self._root / path)
        if path not in self._parses or self._parses[path][0] != stamp:
            stands = not path.endswith(".py") or self._is_whole(path, digest)
            self._parses[path] = (stamp, stands)
        return self._parses[path][1]

    def _is_whole(self, path: str, digest: str) -> bool:
        try:
            content = (self._root / path).read_bytes()
        except OSError:
            return True  # it was deleted, which is nothing half-written
        return tree.digest(content) == digest or outline(content).whole


def _differing_part(green: str, applied: str, line: int) -> tuple[str, str]:
    """The one statement at the left margin in which the texts differ, on its lines in both, where
    there is one such and it is the line's: what is said of it needs no more to be parsed."""
    part = isolate(green, applied, reading.spans(green))
    if part is None or not part.first <= line <= part.last + part.delta:
        return green, applied
    return (part.old, part.new) if outline(part.new).whole else (green, applied)


def decode(content: bytes) -> str:
    """The text of a Python file, newlines as '\\n'."""
    encoding, _ = tokenize.detect_encoding(BytesIO(content).readline)
    with TextIOWrapper(BytesIO(content), encoding, newline=None) as stream:
        return stream.read()
