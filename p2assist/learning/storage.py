"""Files that a kill leaves either old or new, and digests of values and files."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

_SAMPLE = 1 << 20  # bytes at each of the places of a weight file that are read


def write_atomic(path: Path, text: str) -> None:
    """Replace the file's text; whoever reads it meets the old or the new one, whole."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_json(path: Path) -> Any:
    """The file's value; None where it is missing or torn (the file is then written anew)."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, UnicodeDecodeError):
        return None


def digest_of(*values: Any) -> str:
    """SHA-256, in hex, of values that JSON can hold."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_digest(folder: Path) -> str:
    """A digest that tells base models apart: their config, and sizes and samples of the weights.

    Reading gigabytes for it would take longer than loading them, so a file counts with its size,
    its first, middle and last MiB: two trainings differ everywhere. It proves no integrity.
    Raises FileNotFoundError where the folder holds no safetensors.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise FileNotFoundError(f"{folder} holds no safetensors")
    state = hashlib.sha256()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for volatile in ("transformers_version", "_name_or_path"):
        config.pop(volatile, None)
    state.update(json.dumps(config, sort_keys=True).encode())
    for path in weights:
        size = path.stat().st_size
        state.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            for place in (0, size // 2, max(0, size - _SAMPLE)):
                file.seek(place)
                state.update(file.read(_SAMPLE))
    return state.hexdigest()
