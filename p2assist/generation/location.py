"""Where a configured model is: told without loading anything."""

from __future__ import annotations

from pathlib import Path

from p2assist.errors import ModelError
from p2assist.pocket import weights_path

POCKET = "pocket"


def absolute(model: str) -> str:
    """The name as a process in another folder understands it."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if model != POCKET and folder.is_dir() else model


def folder_of(model: str) -> Path | None:
    """The folder that `locate` tells, or the newest copy of a hub model in the local cache; None
    where there is none. Raises ModelError as `locate` does."""
    place = locate(model)
    if Path(place).is_dir():
        return Path(place)
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(place, "config.json")
    except ValueError:  # no name of the hub's
        return None
    return Path(found).parent if isinstance(found, str) else None


def locate(model: str) -> str:
    """The folder, or the hub name, that transformers loads for the configured name.

    Raises ModelError where the name says a folder and there is none.
    """
    if model == POCKET:
        folder = weights_path()
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"the embedded model is missing ({folder}): install p2assist again, or make the "
                "weights with `python -m p2assist.pocket.build`"
            )
        return str(folder)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return str(folder)
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        raise ModelError(
            f"there is no model in {folder}: give a folder with config.json, model.safetensors and "
            "tokenizer.json, a name on the Hugging Face hub, or 'pocket'"
        )
    return model
