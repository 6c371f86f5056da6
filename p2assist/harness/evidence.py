"""The tests that can say something of a place in a text, half-written or not."""

from __future__ import annotations

from pathlib import Path

from p2assist.experience import CoveringTest
from p2assist.harness import change, tree
from p2assist.harness.digests import TestDigests
from p2assist.harness.mapping import BaselineTest, ImpactMap
from p2assist.harness.naming import find_named
from p2assist.harness.outline import Definition, outline


def evidence_at(
    root: Path, impact: ImpactMap, path: str, text: str, line: int
) -> tuple[CoveringTest, ...]:
    """The tests that run the 1-based line of the text, else those of the function around it,
    else, where no test has run that function yet, those that name it.

    Tests that fail, always, before any candidate are among them: they may be gained.
    """
    found = impact.evidence(path, text, line, line)
    around = outline(text).around(line) or _going_on(text, line)
    if not found and around is not None:
        found = impact.evidence(path, text, around.begin, around.last)
        if not found or _is_new(impact, path, around):
            return tuple(_naming(root, impact, path, around.name))
    return tuple(test.covering for test in found)


def _going_on(text: str, line: int) -> Definition | None:
    """The function that an indented blank line behind its last one belongs to: what is written
    there does."""
    rows = text.split("\n")
    row = rows[line - 1] if line <= len(rows) else ""
    if row.strip():
        return None
    above = next((n for n in range(line - 1, 0, -1) if rows[n - 1].strip()), 0)
    around = outline(text).around(above) if above else None
    if around is None:
        return None
    head = rows[around.first - 1]
    return around if len(row) > len(head) - len(head.lstrip()) else None


def _is_new(impact: ImpactMap, path: str, function: Definition) -> bool:
    """Whether no test runs its body: its header is everyone's."""
    file = impact.coverage.get(path)
    known = file.functions.get(function.name) if file else None
    return known is None or not known.tests


def _naming(root: Path, impact: ImpactMap, path: str, function: str) -> list[CoveringTest]:
    contents = dict(tree.contents(root))
    known: dict[tuple[str, str], list[BaselineTest]] = {}
    for test in impact.tests:
        known.setdefault(change.split(test.node_id), []).append(test)
    found: list[CoveringTest] = []
    digests = TestDigests(root, contents)
    for named in find_named(contents, path, function):
        there = known.get((named.path, named.name))
        if there is not None:
            found += [test.covering for test in there if test.may_tell]
        elif not named.cases:
            found.append(CoveringTest(named.node_id, digests.of(named.node_id)))
    return found
