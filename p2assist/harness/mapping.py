"""ImpactMap: which tests run which functions, and what each said before any candidate."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from p2assist.config import Config
from p2assist.errors import HarnessError
from p2assist.experience import CoveringTest, Outcome
from p2assist.harness import credit, tree
from p2assist.harness.credit import FileCoverage, Sets
from p2assist.harness.outline import outline

FILE = "impact.json"
COMPILED = "compiled.bin"
_VERSION = 2


@dataclass(frozen=True, slots=True)
class BaselineTest:
    """What a test said before any candidate.

    digest: see digests.TestDigests. seconds: of its three phases, in order with the others.
    unstable: why its word does not count ('' where it does): it said different things in
    different runs. looked: when that was seen last, in seconds since the epoch; clean: how many
    times in a row it was not seen since (baseline.py). message: why it did not pass. skipped: a
    skip or an expected failure.
    """

    node_id: str
    outcome: Outcome
    seconds: float = 0.0
    digest: str = ""
    unstable: str = ""
    looked: float = 0.0
    clean: int = 0
    message: str = ""
    skipped: bool = False

    @property
    def counts(self) -> bool:
        """Whether it can say something of a candidate: it passes, always."""
        return self.outcome is Outcome.PASSED and not self.unstable

    @property
    def may_tell(self) -> bool:
        """Whether it can be kept, broken or gained: it says the same each time."""
        return not self.unstable and not self.skipped

    @property
    def covering(self) -> CoveringTest:
        return CoveringTest(self.node_id, self.digest)


@dataclass(frozen=True)
class ImpactMap:
    """The suite's tests in the order they run, and for each file the tests that run its functions.

    coverage: posix path below the root -> see FileCoverage; what runs at import is everyone's.
    files: digests of what the map was made from. held: files whose contents since then do not
    parse, or break tests: their digests; the map stays with the last green ones (green.py).
    uncollected: file -> why it could not be collected. options: further arguments that pytest
    needs here. python: the interpreter's path. compiled: digest of the compiled files that lie
    beside the map. quarantine: see Quarantine.
    """

    tests: tuple[BaselineTest, ...]
    coverage: Mapping[str, FileCoverage]
    files: Mapping[str, str]
    held: Mapping[str, str] = field(default_factory=dict)
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
        """The files of which a test runs a line, and that stand as they were mapped, sorted."""
        ran = {path for path, file in self.coverage.items() if file.ran}
        return tuple(sorted(ran - self.held.keys()))

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
        """The tests that run any of the lines first..last (1-based, inclusive) of the file as it
        was mapped, in the order they run: only those that always passed at baseline."""
        file = self.coverage.get(path)
        found = file.covering(first_line, last_line) if file else 0
        return tuple(test.covering for test in self.of(found) if test.counts)

    def evidence(self, path: str, text: str, first_line: int, last_line: int) -> list[BaselineTest]:
        """The tests of those lines of another text of the file, half-written or not, in the order
        they run: also those that fail, always, before any candidate. They may be gained."""
        file = self.coverage.get(path)
        found = file.moved(outline(text)).covering(first_line, last_line) if file else 0
        return [test for test in self.of(found) if test.may_tell]

    def imported(self, path: str) -> bool:
        """Whether collecting the tests imports the file; not where only a test's own body does."""
        known = self.coverage.get(path)
        return known is not None and bool(known.ran & credit.EVERYONE)

    def of(self, tests: int) -> list[BaselineTest]:
        """The tests of a set of credit.py."""
        return [self.tests[number] for number in credit.places(tests, len(self.tests))]

    def spelled_out(self, tests: int) -> int:
        """The set with everyone named."""
        everyone = (1 << (len(self.tests) + 1)) - 1
        return everyone if tests & credit.EVERYONE else tests

    def fresh(self, root: Path) -> bool:
        """Whether no Python file and no settings' file of the tree has changed since."""
        wanted = {**self.files, **self.held}
        return tree.digests(root) == {path: digest for path, digest in wanted.items() if digest}

    def save(self, config: Config) -> None:
        """Writes the map under the state folder, wholly or not at all. Raises HarnessError."""
        try:
            write_atomically(config.state / FILE, json.dumps(self._as_json()).encode())
        except OSError as error:
            raise HarnessError(f"the map of tests cannot be kept: {error}") from error

    def _as_json(self) -> dict[str, Any]:
        sets = Sets()
        coverage = {path: credit.to_json(file, sets) for path, file in self.coverage.items()}
        return {"version": _VERSION} | {
            "tests": [asdict(test) for test in self.tests],
            "coverage": coverage,
            "sets": sets.written,
            "files": dict(self.files),
            "held": dict(self.held),
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
        sets = Sets(told["sets"])
        return cls(
            tests=tuple(tests),
            coverage={p: credit.from_json(file, sets) for p, file in told["coverage"].items()},
            files=told["files"],
            held=told["held"],
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
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
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
