"""ImpactMap: which tests run which lines, and what each said before any candidate."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from p2assist.config import Config
from p2assist.errors import HarnessError
from p2assist.experience import CoveringTest, Outcome
from p2assist.harness import tree

FILE = "impact.json"
COMPILED = "compiled.bin"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class BaselineTest:
    """What a test said before any candidate.

    digest: SHA-256 of its function's source text. seconds: of its three phases, the longer of
    two runs. unstable: why its word does not count ('' where it does): it said different things
    in different runs. message: why it did not pass. skipped: a skip or an expected failure.
    """

    node_id: str
    outcome: Outcome
    seconds: float = 0.0
    digest: str = ""
    unstable: str = ""
    message: str = ""
    skipped: bool = False

    @property
    def counts(self) -> bool:
        """Whether it can say something of a candidate: it passes, always."""
        return self.outcome is Outcome.PASSED and not self.unstable


@dataclass(frozen=True)
class ImpactMap:
    """The suite's tests in the order they run, and for each line the tests that run it.

    lines: posix path below the root -> 1-based line -> number of a set; sets: numbers of tests.
    A line that runs while a module is imported is of every test. files: digests of what the map
    was made from. uncollected: file -> why it could not be collected. options: further arguments
    that pytest needs here. python: the interpreter's path. compiled: digest of the compiled files
    that lie beside the map.
    """

    tests: tuple[BaselineTest, ...]
    lines: Mapping[str, Mapping[int, int]]
    sets: tuple[tuple[int, ...], ...]
    files: Mapping[str, str]
    uncollected: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    python: str = ""
    compiled: str = ""

    @cached_property
    def by_id(self) -> Mapping[str, BaselineTest]:
        return {test.node_id: test for test in self.tests}

    @cached_property
    def order(self) -> Mapping[str, int]:
        """Each test's place in the run."""
        return {test.node_id: place for place, test in enumerate(self.tests)}

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of which a test runs a line, sorted."""
        return tuple(sorted(self.lines))

    @property
    def test_files(self) -> tuple[str, ...]:
        """The files that hold the tests, sorted."""
        return tuple(sorted({test.node_id.partition("::")[0] for test in self.tests}))

    @property
    def passing(self) -> tuple[BaselineTest, ...]:
        return tuple(test for test in self.tests if test.counts)

    @property
    def failing(self) -> tuple[BaselineTest, ...]:
        """Tests that fail before any candidate, always; they are left out."""
        return tuple(
            t
            for t in self.tests
            if t.outcome is not Outcome.PASSED and not t.skipped and not t.unstable
        )

    @property
    def unstable(self) -> tuple[BaselineTest, ...]:
        """Tests that say now this, now that; they are left out."""
        return tuple(test for test in self.tests if test.unstable)

    def covering(self, path: str, first_line: int, last_line: int) -> tuple[CoveringTest, ...]:
        """The tests that run any of the lines first..last (1-based, inclusive) of the file, in
        the order they run: only those that always passed at baseline."""
        of_file = self.lines.get(path, {})
        wanted = {of_file[n] for n in range(first_line, last_line + 1) if n in of_file}
        numbers = sorted({number for one in wanted for number in self.sets[one]})
        tests = (self.tests[number] for number in numbers)
        return tuple(CoveringTest(test.node_id, test.digest) for test in tests if test.counts)

    def covered_lines(self, path: str) -> Iterator[int]:
        """The lines of the file that any test that counts runs, in order."""
        of_file = self.lines.get(path, {})
        useful = {n for n, one in enumerate(self.sets) if any(self.tests[i].counts for i in one)}
        return (line for line in sorted(of_file) if of_file[line] in useful)

    def fresh(self, root: Path) -> bool:
        """Whether no Python file and no settings' file of the tree has changed since."""
        return tree.digests(root) == dict(self.files)

    def save(self, config: Config) -> None:
        """Writes the map under the state folder, wholly or not at all. Raises HarnessError."""
        try:
            write_atomically(config.state / FILE, json.dumps(self._as_json()).encode())
        except OSError as error:
            raise HarnessError(f"the map of tests cannot be kept: {error}") from error

    def _as_json(self) -> dict[str, Any]:
        return {"version": _VERSION} | {
            "tests": [asdict(test) for test in self.tests],
            "lines": {path: dict(lines) for path, lines in self.lines.items()},
            "sets": self.sets,
            "files": dict(self.files),
            "uncollected": dict(self.uncollected),
            "options": self.options,
            "python": self.python,
            "compiled": self.compiled,
        }

    @classmethod
    def _from_json(cls, told: Mapping[str, Any]) -> ImpactMap:
        if told["version"] != _VERSION:
            raise ValueError("another version of p2assist wrote it")
        tests = (BaselineTest(**t | {"outcome": Outcome(t["outcome"])}) for t in told["tests"])
        return cls(
            tests=tuple(tests),
            lines={
                path: {int(line): one for line, one in lines.items()}
                for path, lines in told["lines"].items()
            },
            sets=tuple(tuple(one) for one in told["sets"]),
            files=told["files"],
            uncollected=told["uncollected"],
            options=tuple(told["options"]),
            python=told["python"],
            compiled=told["compiled"],
        )


def load(config: Config) -> ImpactMap | None:
    """The kept map; None where there is none that can be used (a truncated file, another
    version's), so that it is made anew: it holds nothing that cannot be."""
    try:
        return ImpactMap._from_json(json.loads((config.state / FILE).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_atomically(file: Path, content: bytes) -> None:
    """Replaces the file by a whole one. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
