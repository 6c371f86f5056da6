"""Preparing a repository: find the tests, map them, write the settings, ignore the state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Table

from p2assist.config import STATE, Config, team_file
from p2assist.errors import ConfigError
from p2assist.harness import tree
from p2assist.harness.impact import BaselineTest
from p2assist.harness.sandbox import detect
from p2assist.practice.workspace import Workspace

SHOWN = 5  # left-out tests that are named on the terminal
_IGNORE = f"{STATE}/\n"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What init found and did. tests: collected; quarantined: node id -> why a test is left out
    of every verdict. settings: the file; added: the names written to it, none the second time."""

    repository: str
    tests: int
    passing: int
    quarantined: dict[str, str]
    files: int
    isolation: str
    python: str
    settings: str
    added: tuple[str, ...]

    def lines(self) -> dict[str, object]:
        """Names and values for people."""
        left_out = [f"{name}: {why}" for name, why in islice(self.quarantined.items(), SHOWN)]
        if len(self.quarantined) > SHOWN:
            left_out.append(f"and {len(self.quarantined) - SHOWN} more (--json shows all)")
        return {
            "repository": self.repository,
            "tests": f"{self.tests}, {self.passing} pass and count",
            **({"left out": "\n".join(left_out)} if left_out else {}),
            "covered files": self.files,
            "isolation": self.isolation,
            "python": self.python,
            "settings": f"{self.settings}: {', '.join(self.added) or 'nothing to add'}",
        }


def prepare(space: Workspace, *, again: bool = False) -> Prepared:
    """Maps the repository and writes what is missing of its settings. again: map it anew, whatever
    is known of it; what stands there now is then the last green tree, its broken tests are broken.

    Raises BaselineError, IsolationError or HarnessError where its tests cannot be used, and
    ConfigError where the settings cannot be written; nothing is written then.
    """
    config, isolation = space.config, detect(space.config.user.isolation)
    impact = space.remap() if again else space.impact
    own = [path for path in impact.paths if path not in set(impact.test_files)]
    values = {
        "model": config.team.model,
        "paths": source_globs(own),
        "tests": folders_of_tests(impact.test_files),
    }
    written = write_settings(config, values)
    if written.added:  # they say what the map was made with: it is as fresh as it was
        name = written.file.name
        digest = tree.file_digest(written.file)
        space.keep(replace(impact, files={**impact.files, name: digest}))
    return Prepared(
        repository=str(config.root),
        tests=len(impact.tests),
        passing=len(impact.passing),
        quarantined={test.node_id: reason(test) for test in (*impact.failing, *impact.unstable)},
        files=len(own),
        isolation=isolation.name,
        python=impact.python,
        settings=str(written.file),
        added=written.added,
    )


def reason(test: BaselineTest) -> str:
    """Why the test is in no verdict."""
    return test.unstable or f"{test.outcome} at baseline: {test.message}".rstrip(": ")


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


def source_globs(paths: Sequence[str]) -> list[str]:
    """Globs of the covered source files (posix, relative): their top folders, or src/'s."""
    depth = 2 if any(path.startswith("src/") for path in paths) else 1
    tops = {"/".join(path.split("/")[:depth]) for path in paths}
    return sorted(top if top.endswith(".py") else f"{top}/**" for top in tops)


def folders_of_tests(files: Sequence[str]) -> list[str]:
    """The folders that hold the test files, none within another; a file at the root itself."""
    folders: list[str] = []
    for folder in sorted({file.rpartition("/")[0] or file for file in files}):
        if not any(folder.startswith(f"{outer}/") for outer in folders):
            folders.append(folder)
    return folders


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
