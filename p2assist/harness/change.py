"""What has changed since the map was made, and which tests that can affect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from p2assist.config import Config
from p2assist.harness import tree
from p2assist.harness.credit import EVERYONE, FileCoverage, bit
from p2assist.harness.green import Contents
from p2assist.harness.imports import Imports
from p2assist.harness.mapping import ImpactMap
from p2assist.harness.outline import Definition, Outline, outline


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tree to map. contents: of every Python and settings' file, as it is run. over: those of
    them that are not what the disk holds, or may not be any more when the suite runs. held: path
    -> digest of what is on the disk instead ('' for nothing)."""

    contents: Mapping[str, bytes]
    over: Mapping[str, bytes]
    held: Mapping[str, str]

    @property
    def digests(self) -> dict[str, str]:
        return {path: tree.digest(content) for path, content in self.contents.items()}


def snapshot(config: Config, known: ImpactMap, barred: Iterable[str] = ()) -> Snapshot:
    """The disk's tree, with the last green content of files that are barred or half-written."""
    contents = dict(tree.contents(config.root))
    kept = Contents(config)
    over: dict[str, bytes] = {}
    held: dict[str, str] = {}
    bars = set(barred)
    for path in {*contents, *known.files}:
        now, before = contents.get(path), known.files.get(path)
        digest = tree.digest(now) if now is not None else ""
        if digest == (before or ""):
            continue
        if path in bars or _half_written(path, now):
            green = kept.get(before) if before else b""
            if green is not None and (path in bars or (before and not _half_written(path, green))):
                held[path] = digest
                over[path] = green
                if before:
                    contents[path] = green
                else:
                    del contents[path]
                continue
        if now is not None:
            over[path] = now
    return Snapshot(contents, over, held)


def _half_written(path: str, content: bytes | None) -> bool:
    return content is not None and path.endswith(".py") and not outline(content).whole


@dataclass(frozen=True, slots=True)
class Affected:
    """by_path: changed file -> the tests (a set of credit.py) that can say something else now.
    collect: whether other tests may be there than before."""

    by_path: Mapping[str, int]
    collect: bool

    @property
    def tests(self) -> int:
        found = 0
        for tests in self.by_path.values():
            found |= tests
        return found


def affected(known: ImpactMap, now: Snapshot) -> Affected:
    """Which tests the changes can affect; everyone where it is in doubt."""
    digests = now.digests
    changed = sorted(
        path for path in {*digests, *known.files} if digests.get(path) != known.files.get(path)
    )
    importers = _Importers(known, now.contents)
    by_path, collect = {}, False
    for path in changed:
        content = now.contents.get(path)
        before = known.coverage.get(path)
        if not path.endswith(".py"):
            by_path[path], collect = EVERYONE, True
        elif content is None or before is None:
            by_path[path] = importers.of(path) | (_all_of(before) if before else 0)
            collect = True
        else:
            by_path[path], listed = _of_file(known, path, before, outline(content), importers)
            collect |= listed
    return Affected(by_path, collect)


def _all_of(file: FileCoverage) -> int:
    found = 0
    for function in file.functions.values():
        found |= function.tests
    return found


def _of_file(
    known: ImpactMap, path: str, before: FileCoverage, now: Outline, importers: _Importers
) -> tuple[int, bool]:
    """The tests, and whether they must be collected anew."""
    tests, collect = 0, False
    for name, function in before.functions.items():
        there = now.functions.get(name)
        if there is None or there.body == function.definition.body:
            continue
        if function.tests & EVERYONE:  # it runs at import
            return importers.of(path), True
        tests |= function.tests
        if there.documented != function.definition.documented:
            tests |= _doctests(known, path)
            collect = True
    if before.sequence == now.sequence:
        return tests, collect
    names = _changed_tests(known, path, before, now)
    if names is None:
        return tests | importers.of(path) | _doctests(known, path), True
    for place, test in enumerate(known.tests):
        if split(test.node_id) in {(path, name) for name in names}:
            tests |= bit(place)
    return tests, True


def own_changes(known: ImpactMap, now: Snapshot) -> frozenset[str]:
    """The tests whose own function is not what it was; of a file that has changed also those that
    have no function of their own."""
    digests, found = now.digests, set()
    for test in known.tests:
        path, name = split(test.node_id)
        if digests.get(path) == known.files.get(path):
            continue
        file, content = known.coverage.get(path), now.contents.get(path)
        before = file.functions.get(name) if file else None
        after = outline(content).functions.get(name) if content is not None else None
        same = (
            before is not None
            and after is not None
            and (before.definition.header, before.definition.body) == (after.header, after.body)
        )
        if not same:
            found.add(test.node_id)
    return frozenset(found)


def split(node_id: str) -> tuple[str, str]:
    """The file and the qualified name of a test's function: 't.py::A::f[1]' -> 't.py', 'A.f'."""
    path, _, rest = node_id.partition("::")
    return path, rest.partition("[")[0].replace("::", ".")


def _changed_tests(
    known: ImpactMap, path: str, before: FileCoverage, now: Outline
) -> set[str] | None:
    """Names of test functions that came, went or have other headers, where nothing else that runs
    at import has changed in the file; None where something has."""
    tests = {split(test.node_id)[1] for test in known.tests if split(test.node_id)[0] == path}
    if not tests:
        return None

    def is_test(definition: Definition) -> bool:
        return definition.name in tests or definition.name.rpartition(".")[2].startswith("test")

    old = {n: f.definition for n, f in before.functions.items() if is_test(f.definition)}
    new = {n: d for n, d in now.functions.items() if is_test(d)}
    names = {n for n in {*old, *new} if _header(old.get(n)) != _header(new.get(n))}

    def rest(sequence: Iterable[str]) -> list[str]:
        return [entry for entry in sequence if entry.partition(" ")[2] not in names]

    return names if names and rest(before.sequence) == rest(now.sequence) else None


def _header(definition: Definition | None) -> str:
    return definition.header if definition else ""


def _doctests(known: ImpactMap, path: str) -> int:
    """The tests that stand in the file without a function of that name: doctests."""
    file, found = known.coverage.get(path), 0
    for place, test in enumerate(known.tests):
        where, name = split(test.node_id)
        if where == path and (file is None or name not in file.functions):
            found |= bit(place)
    return found


class _Importers:
    """The tests that import a file, directly or not, by what stands in the sources."""

    def __init__(self, known: ImpactMap, contents: Mapping[str, bytes]) -> None:
        self._known = known
        self._imports = Imports(contents)

    def of(self, path: str) -> int:
        """Everyone where it is in doubt."""
        found = 0
        depend = {f: self._imports.may_use(f, path) for f in self._known.test_files}
        if not any(depend.values()) and self._known.coverage.get(path, FileCoverage()).ran:
            return EVERYONE  # something imported it, and nothing says what
        for place, test in enumerate(self._known.tests):
            if depend[test.node_id.partition("::")[0]]:
                found |= bit(place)
        return EVERYONE if depend and all(depend.values()) else found
