"""Other files that are open and not saved: laid over the tree as their buffers have them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from p2assist.errors import HarnessError
from p2assist.harness.outline import outline
from p2assist.harness.overlay import Laid, encode, real_path


def over(laid: Laid, unsaved: Mapping[str, str], *, root: Path, tests: Collection[str]) -> Laid:
    """What is laid for a candidate, with the buffers' texts (by path below the root) over it.

    Left out is what would test something else: a buffer that does not parse, and files of `tests`
    and their conftest.py, since a report names tests as they are on the disk. So is a file that was
    never saved.
    """
    own = laid.files[0][0]
    files, told = dict(laid.files), []
    for path, text in unsaved.items():
        try:
            real = real_path(root, path)
        except HarnessError:
            continue
        known = real == own or real in tests or PurePosixPath(real).name == "conftest.py"
        content = encode(text)
        if known or not (root / real).is_file() or not outline(content).whole:
            continue
        files[real] = content
        told.append(real)
    if not told:
        return laid
    note = f"with the unsaved {', '.join(told)}"
    return replace(
        laid, files=tuple(files.items()), note="; ".join(filter(None, (laid.note, note)))
    )
