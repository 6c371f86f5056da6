"""Which tests run which functions and statements of a file.

A set of tests is a number: bit n + 1 is the test in place n of ImpactMap.tests, and bit 0,
EVERYONE, is whoever there is, also tests that come later: what runs at import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from p2assist.harness.outline import Definition, Outline, Span

EVERYONE = 1


@dataclass(frozen=True, slots=True)
class Covered:
    """A function of the mapped text (see outline.Definition). tests: all that run it; by_statement:
    those of each of its statements. Of tests in the first and in no second it is not known which
    lines they run (the body has changed since), so every line is theirs."""

    definition: Definition
    tests: int = 0
    by_statement: tuple[int, ...] = ()

    def covering(self, first: int, last: int) -> int:
        """The tests of the lines first..last, as far as they are of its body."""
        if not _meet((self.definition.begin, self.definition.last), first, last):
            return 0
        found, known = 0, 0
        for span, tests in zip(self.definition.statements, self.by_statement, strict=True):
            known |= tests
            if _meet(span, first, last):
                found |= tests
        return found | (self.tests & ~known)

    def moved(self, now: Definition) -> Covered:
        """The same function in another text; a changed body keeps its tests."""
        if now.body == self.definition.body:
            return replace(self, definition=now)
        return Covered(now, self.tests, (0,) * len(now.statements))

    def translated(self, translate: Callable[[int], int]) -> Covered:
        """With every set of tests put through translate."""
        return Covered(
            self.definition, translate(self.tests), tuple(translate(t) for t in self.by_statement)
        )


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """A file as it was mapped. sequence, module: see outline.Outline. ran: the tests that run any
    line of it, 0 where nothing imports it."""

    functions: Mapping[str, Covered] = field(default_factory=dict)
    sequence: tuple[str, ...] = ()
    module: tuple[Span, ...] = ()
    ran: int = 0

    @classmethod
    def of(cls, outline: Outline) -> FileCoverage:
        """A file of which nothing is known but its text."""
        functions = {
            name: Covered(found, 0, (0,) * len(found.statements))
            for name, found in outline.functions.items()
        }
        return cls(functions, outline.sequence, outline.module)

    def covering(self, first: int, last: int) -> int:
        """The tests of the lines first..last. What runs at import is everyone's."""
        if self.ran and any(_meet(span, first, last) for span in self.module):
            return EVERYONE
        found = 0
        for function in self.functions.values():
            found |= function.covering(first, last)
        return found

    def moved(self, outline: Outline) -> FileCoverage:
        """The same file with another text, half-written or not: functions are known by name."""
        functions = {
            name: self.functions[name].moved(now)
            if name in self.functions
            else Covered(now, 0, (0,) * len(now.statements))
            for name, now in outline.functions.items()
        }
        return FileCoverage(functions, outline.sequence, outline.module, self.ran)

    def translated(self, translate: Callable[[int], int]) -> FileCoverage:
        functions = {name: f.translated(translate) for name, f in self.functions.items()}
        return replace(self, functions=functions, ran=translate(self.ran))

    def credited(self, by_line: Mapping[int, int]) -> FileCoverage:
        """With what a run saw added: 1-based line -> tests."""
        functions = {name: _credited(f, by_line) for name, f in self.functions.items()}
        ran = self.ran
        for tests in by_line.values():
            ran |= tests
        return replace(self, functions=functions, ran=ran)


def _credited(function: Covered, by_line: Mapping[int, int]) -> Covered:
    now, every = [], function.tests
    for (first, last), before in zip(
        function.definition.statements, function.by_statement, strict=True
    ):
        tests = before
        for line in range(first, last + 1):
            tests |= by_line.get(line, 0)
        now.append(tests)
        every |= tests
    return Covered(function.definition, every, tuple(now))


def bit(place: int) -> int:
    """The set of one test."""
    return 2 << place


def places(tests: int, count: int) -> Iterator[int]:
    """The places below count that are in the set, in order."""
    if tests & EVERYONE:
        yield from range(count)
        return
    tests = (tests >> 1) & ((1 << count) - 1)
    while tests:
        low = tests & -tests
        yield low.bit_length() - 1
        tests ^= low


def _meet(span: Span, first: int, last: int) -> bool:
    return span[0] <= last and first <= span[1]


class Sets:
    """Equal sets of tests are written once."""

    def __init__(self, known: list[str] | None = None) -> None:
        self.written = known or []
        self._read = [int(text, 16) for text in self.written]
        self._numbers: dict[int, int] = {tests: n for n, tests in enumerate(self._read)}

    def write(self, tests: int) -> int:
        if tests not in self._numbers:
            self._numbers[tests] = len(self.written)
            self.written.append(f"{tests:x}")
        return self._numbers[tests]

    def read(self, number: int) -> int:
        return self._read[number]


def to_json(file: FileCoverage, sets: Sets) -> dict[str, Any]:
    return {
        "ran": sets.write(file.ran),
        "sequence": file.sequence,
        "module": file.module,
        "functions": [
            {
                "definition": [getattr(f.definition, name) for name in Definition.__slots__],
                "tests": sets.write(f.tests),
                "by_statement": [sets.write(tests) for tests in f.by_statement],
            }
            for f in file.functions.values()
        ],
    }


def from_json(told: Mapping[str, Any], sets: Sets) -> FileCoverage:
    functions = {}
    for one in told["functions"]:
        fields = dict(zip(Definition.__slots__, one["definition"], strict=True))
        fields["statements"] = tuple((a, b) for a, b in fields["statements"])
        functions[fields["name"]] = Covered(
            Definition(**fields),
            sets.read(one["tests"]),
            tuple(sets.read(number) for number in one["by_statement"]),
        )
    return FileCoverage(
        functions,
        tuple(told["sequence"]),
        tuple((a, b) for a, b in told["module"]),
        sets.read(told["ran"]),
    )
