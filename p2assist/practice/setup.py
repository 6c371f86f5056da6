"""Preparing a repository: find the tests, map them, write the settings, ignore the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Table

from p2assist.config import STATE, Config, team_file
from p2assist.errors import ConfigError

_IGNORE = f"{STATE}/\n"


@dataclass(frozen=True, slots=True)
class Written:
    """What init changed: the settings' file, the names added to it, and whether .gitignore was
    touched. Both are empty on a repository that was prepared before."""

    file: Path
    added: tuple[str, ...]
    ignored: bool


def write_settings(config: Config, values: Mapping[str, Any]) -> Written:
    """Adds what is missing of `values` to [tool.p2assist]; never changes a person's settings.

    The file's comments and order stay. Raises ConfigError where it cannot be written.
    """
    file = team_file(config.root)
    try:
        document = tomlkit.parse(file.read_text(encoding="utf-8")) if file.is_file() else None
        document = tomlkit.document() if document is None else document
        table = _table(document, nested=file.name == "pyproject.toml")
        added = tuple(name for name in values if name not in table)
        for name in added:
            table.add(name, values[name])
        if added:
            file.write_text(tomlkit.dumps(document), encoding="utf-8")
        return Written(file, added, _ignore(config.root))
    except OSError as error:
        raise ConfigError(f"{error.filename or file} cannot be written: {error}") from error


def source_globs(paths: list[str], tests: list[str]) -> list[str]:
    """Globs of the covered source: the top folders of the covered files that hold no tests.

    paths: covered files, posix, relative. tests: the test files among them.
    """
    own = [path for path in paths if path not in set(tests)]
    tops = {path.split("/")[0] for path in own}
    if "src" in tops:
        tops = {"/".join(path.split("/")[:2]) for path in own if path.startswith("src/")}
    return sorted(top if top.endswith(".py") else f"{top}/**" for top in tops)


def _table(document: tomlkit.TOMLDocument, *, nested: bool) -> Table | tomlkit.TOMLDocument:
    if not nested:  # p2assist.toml: the settings stand at the top, or under the full name
        tool = document.get("tool")
        return tool["p2assist"] if tool and "p2assist" in tool else document
    tool = document.setdefault("tool", tomlkit.table(is_super_table=True))
    if "p2assist" not in tool:
        tool.add("p2assist", tomlkit.table())
    table = tool["p2assist"]
    assert isinstance(table, Table)
    return table


def _ignore(root: Path) -> bool:
    """Adds the state's folder to .gitignore unless a line there already does."""
    file = root / ".gitignore"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if any(line.strip().strip("/") == STATE for line in text.splitlines()):
        return False
    if text and not text.endswith("\n"):
        text += "\n"
    file.write_text(text + _IGNORE, encoding="utf-8")
    return True
