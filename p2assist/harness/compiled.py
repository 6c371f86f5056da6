"""The compiled forms of the project's files, kept beside the map so that no run compiles them."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from p2assist.config import Config
from p2assist.errors import HarnessError
from p2assist.harness import tree
from p2assist.harness.mapping import COMPILED, ImpactMap, write_atomically
from p2assist.harness.outcomes import Transcript


def keep(config: Config, transcript: Transcript) -> str:
    """Keeps the compiled files of the run; their digest. Raises HarnessError."""
    return _write(
        config,
        (
            (path, bytes(data))
            for path, data in sorted(transcript.blobs.items())
            if path.endswith(".pyc") and not path.startswith("/") and ".." not in path.split("/")
        ),
    )


def without(config: Config, known: ImpactMap, files: Mapping[str, str]) -> str:
    """Drops those of sources that are not what they were: a clock does not tell a stale one. The
    digest of what is left."""
    changed = {path for path, digest in known.files.items() if files.get(path) != digest}
    file = config.state / COMPILED
    if not changed or not known.compiled or tree.file_digest(file) != known.compiled:
        return known.compiled
    entries = marshal.loads(file.read_bytes())  # noqa: S302 - of the digest that we kept
    return _write(config, ((path, data) for path, data in entries if _source(path) not in changed))


def _source(path: str) -> str:
    """The source of 'pack/__pycache__/core.cpython-311.pyc': 'pack/core.py'."""
    compiled = PurePosixPath(path)
    name = compiled.name.partition(".")[0]
    return (compiled.parent.parent / f"{name}.py").as_posix()


def _write(config: Config, entries: Iterable[tuple[str, bytes]]) -> str:
    content = marshal.dumps(tuple(entries))
    try:
        write_atomically(config.state / COMPILED, content)
    except OSError as error:
        raise HarnessError(f"the state folder cannot be written: {error}") from error
    return hashlib.sha256(content).hexdigest()
