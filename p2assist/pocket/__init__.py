"""The embedded model: its weights, and (in `build`) the recipe that made them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["weights_path"]


def weights_path() -> Path:
    """The folder of the shipped weights, in the layout that transformers loads.

    Does not promise that the folder exists: a source tree may have been stripped of it.
    """
    return Path(__file__).parent / "weights"
