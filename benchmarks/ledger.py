"""What parts of a benchmark have found, kept until the code that they measure changes.

A run that was interrupted goes on behind the last part that ended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.subjects import cache as folder

_MEASURED = (
    *("p2assist/harness/*.py", "p2assist/tasks/*.py", "benchmarks/attacks/*.py"),
    *(f"benchmarks/{name}.py" for name in ("agreement", "candidates", "mutants", "packages")),
    *(f"benchmarks/{name}.py" for name in ("plain", "soak", "speed", "subjects", "vectors")),
)
Figures = dict[str, Any]


def kept(part: str, settings: object, find: Callable[[], Figures], *, fresh: bool) -> Figures:
    """What the part found with these settings; found now where it is not known. fresh: whatever is
    known."""
    key = hashlib.sha256(f"{_code()}\0{part}\0{settings!r}".encode()).hexdigest()[:16]
    file = folder() / "found" / f"{part.replace(' ', '-')}-{key}.json"
    if fresh or not file.exists():
        found = find()
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        new.write_text(json.dumps(found))
        new.replace(file)
    told: Figures = json.loads(file.read_text())
    return told


@cache
def _code() -> str:
    said = hashlib.sha256()
    root = Path(__file__).parents[1]
    for pattern in _MEASURED:
        for file in sorted(root.glob(pattern)):
            said.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    return said.hexdigest()
