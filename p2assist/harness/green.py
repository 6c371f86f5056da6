"""The last green tree: file contents that the suite ran well with, kept by digest.

What stands in an editor, or on the disk, is half-written most of the time and fails everything.
The map is of the last contents that did not; they are laid over the tree wherever what stands
there now does not parse or breaks tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from p2assist.config import Config
from p2assist.errors import HarnessError
from p2assist.harness.mapping import write_atomically

FOLDER = "green"


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


def laid_over(
    root: Path, files: Mapping[str, str], held: Iterable[str], contents: Contents
) -> dict[str, bytes]:
    """The last green content of each held file; b'' for one that was not there."""
    found = {}
    for path in held:
        digest = files.get(path)
        content = b"" if digest is None else contents.get(digest)
        if content is not None:
            found[path] = content
    return found
