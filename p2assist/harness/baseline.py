"""What each test says before any candidate, over several runs of the suite.

A test that does not say the same each time is quarantined: it is in no verdict. It is looked at
again after a day, and whenever its code or what it runs changes; two looks in a row in which all
runs agree let it back, or at once where its own code has changed.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from p2assist.experience import Outcome
from p2assist.harness import sources
from p2assist.harness.mapping import BaselineTest, ImpactMap
from p2assist.harness.outcomes import Transcript, Verdict

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
LOOK_AGAIN = 24 * 3600.0  # seconds
CLEAN_LOOKS = 2


@dataclass(frozen=True, slots=True)
class Told:
    """One run. how: in words, '' for the one in order, which says the baseline. tests: those that
    ran, None for all."""

    how: str
    transcript: Transcript
    tests: frozenset[str] | None = None

    @property
    def traced(self) -> bool:
        return "coverage" in self.transcript.blobs

    def verdict(self, node_id: str) -> Verdict:
        return self.transcript.verdict(node_id, Outcome.CRASHED)


def judge(node_id: str, runs: Sequence[Told], before: BaselineTest | None) -> BaselineTest:
    """The test's word over the runs. before: as it was known, None where it is new or changed."""
    ran = (run for run in runs if run.tests is None or node_id in run.tests)
    verdicts = [(run.how, run.verdict(node_id)) for run in ran]
    first = next(verdict for how, verdict in verdicts if not how)
    other = next((pair for pair in verdicts if pair[1].outcome is not first.outcome), None)
    test = BaselineTest(
        node_id=node_id,
        outcome=first.outcome,
        seconds=first.seconds,
        message=first.message,
        skipped=first.skipped,
    )
    if other:
        why = f"{first.outcome} in order, {other[1].outcome} {other[0]}"
        return replace(test, unstable=why, looked=time.time())
    if before is None or not before.unstable or before.clean + 1 >= CLEAN_LOOKS:
        return test
    return replace(test, unstable=before.unstable, looked=time.time(), clean=before.clean + 1)


def due(known: ImpactMap, now: float | None = None) -> list[str]:
    """The quarantined tests that should be looked at again."""
    now = time.time() if now is None else now
    return [t.node_id for t in known.unstable if abs(now - t.looked) >= LOOK_AGAIN]


def uncollected(words: Mapping[str, str], contents: Mapping[str, bytes]) -> Iterator[BaselineTest]:
    """Tests of files that cannot be collected, as far as their text names them: they are errors
    now, and may be gained by what the file imports in vain. Parametrised ones have no known id."""
    for where, why in words.items():
        path = where.partition("::")[0]
        try:
            module = sources.parse(contents[path])
        except (KeyError, SyntaxError, RecursionError):
            continue
        for name, node in _test_functions(module.body):
            if not any("parametrize" in ast.dump(one) for one in node.decorator_list):
                message = f"not collected: {why}"[:500]
                yield BaselineTest(f"{path}::{name}", Outcome.ERROR, message=message)


def _test_functions(body: list[ast.stmt], around: str = "") -> Iterator[tuple[str, FunctionNode]]:
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from _test_functions(node.body, f"{around}{node.name}::")
        elif isinstance(node, FunctionNode) and node.name.startswith("test"):
            yield f"{around}{node.name}", node
