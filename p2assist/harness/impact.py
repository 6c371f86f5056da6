"""The impact map: how it is made, and kept up to date. What it is: mapping.py.

The suite runs in the sandbox: in order, in reverse, under coverage with each test alone, and
shuffled with other hash seeds where it is quick. When files change, only the tests that the
changes can affect run again, and what they do is put in the place of what they did.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from p2assist.config import Config
from p2assist.errors import BaselineError
from p2assist.experience import Outcome
from p2assist.harness import baseline, change, compiled, merge, tree
from p2assist.harness.baseline import Told
from p2assist.harness.change import Affected, Snapshot
from p2assist.harness.credit import bit
from p2assist.harness.digests import TestDigests
from p2assist.harness.green import Contents
from p2assist.harness.mapping import BaselineTest, ImpactMap, load
from p2assist.harness.outcomes import Transcript
from p2assist.harness.rounds import Progress, Rounds
from p2assist.harness.suite import Run

__all__ = ["BaselineTest", "ImpactMap", "build", "load", "update"]


def build(config: Config, *, progress: Progress | None = None) -> ImpactMap:
    """Runs the suite and maps it. The compiled files and the contents are kept beside the map,
    which is not: see ImpactMap.save.

    progress: told what is being done and the share of it, 0..1. Raises BaselineError where no
    test is found, none can be collected or none passes; IsolationError and HarnessError where
    nothing can be run.
    """
    rounds = Rounds(config, progress or _silent)
    now = Snapshot(dict(tree.contents(config.root)), {}, {})
    runs = rounds.whole()
    first = runs[0].transcript
    tests = [baseline.judge(node_id, runs, None) for node_id in first.items]
    if not any(test.counts for test in tests):
        raise BaselineError(_nothing_passes(tests))
    python = str(rounds.suite.interpreter.python)
    empty = ImpactMap((), {}, {}, options=rounds.options, python=python)
    everyone = frozenset(first.items)
    made = _made(config, empty, now, tests, runs, again=everyone, collected=True)
    return replace(made, compiled=compiled.keep(config, first))


def update(config: Config, known: ImpactMap, *, progress: Progress | None = None) -> ImpactMap:
    """The map of the tree as it is now, by running what the changes since can affect.

    Files that do not parse, or that break tests that passed, stay as they were when they last
    did neither (ImpactMap.held). Raises as build does.
    """
    rounds = Rounds(config, progress or _silent, known.options)
    barred: set[str] = set()
    while True:
        now = change.snapshot(config, known, barred)
        attempt = _Attempt(config, rounds, known, now)
        if attempt.idle:
            return _made(config, known, now, known.tests, [], again=frozenset(), collected=False)
        made, guilty = attempt.run()
        if guilty <= barred and made is not None:
            return made
        if guilty <= barred:
            raise BaselineError("the suite cannot be run any more: p2assist init says why")
        barred |= guilty


def _silent(text: str, share: float) -> None:
    return


class _Attempt:
    """One try at mapping a tree that differs from the known map's."""

    def __init__(self, config: Config, rounds: Rounds, known: ImpactMap, now: Snapshot) -> None:
        self._config, self._rounds, self._known, self._now = config, rounds, known, now
        self._hit: Affected = change.affected(known, now)
        hit = {test.node_id for test in known.of(self._hit.tests)}
        self._again = frozenset(hit | set(baseline.due(known)))
        self._own = change.own_changes(known, now)

    @property
    def idle(self) -> bool:
        """Whether nothing has to run."""
        return not self._again and not self._hit.collect

    def run(self) -> tuple[ImpactMap | None, frozenset[str]]:
        """The map, where it can be made, and the changed files that break what passed."""
        known = self._known
        try:
            runs = self._rounds.some(self._run(), self._suspects)
        except BaselineError:
            return None, frozenset(self._hit.by_path)
        traced = runs[0].transcript
        collected = self._hit.collect
        listed = list(traced.items) if collected else [test.node_id for test in known.tests]
        again = self._again | {node_id for node_id in listed if node_id not in known.by_id}
        tests = [
            self._judged(node_id, runs) if node_id in again else known.by_id[node_id]
            for node_id in listed
        ]
        made = _made(self._config, known, self._now, tests, runs, again=again, collected=collected)
        made = replace(made, compiled=compiled.without(self._config, known, made.files))
        return made, self._guilty(made, again)

    def _run(self) -> Run:
        now, again, collect = self._now, self._again, self._hit.collect
        others = [t.node_id for t in self._known.tests if t.node_id not in again]
        return Run(
            tests=None if collect else sorted(again),
            unwanted=others if collect else (),
            paths=() if collect else sorted({change.split(node_id)[0] for node_id in again}),
            files=tuple(now.over.items()),
            stale=tuple(now.over),
        )

    def _suspects(self, traced: Transcript) -> Sequence[str]:
        """New tests, changed ones, and those in quarantine."""
        known = self._known.by_id
        quiet = {t.node_id for t in self._known.tests if not t.unstable} - self._own
        wanted = self._again | {node_id for node_id in traced.items if node_id not in known}
        return [n for n in traced.items if n in wanted and n not in quiet]

    def _judged(self, node_id: str, runs: Sequence[Told]) -> BaselineTest:
        before = None if node_id in self._own else self._known.by_id.get(node_id)
        return baseline.judge(node_id, runs, before)

    def _guilty(self, made: ImpactMap, again: AbstractSet[str]) -> frozenset[str]:
        """The changed files of which a test that passed, and is as it was, now does not."""
        broken = 0
        for place, before in enumerate(self._known.tests):
            node_id = before.node_id
            if node_id not in again or node_id in self._own or not before.counts:
                continue
            after = made.by_id.get(node_id)
            lost = after is None and change.split(node_id)[0] in made.uncollected
            if lost or (after and after.outcome is not Outcome.PASSED and not after.unstable):
                broken |= bit(place)
        if not broken:
            return frozenset()
        by_path = self._hit.by_path
        known = self._known
        wide = {path: known.spelled_out(tests) for path, tests in by_path.items()}
        guilty = frozenset(path for path, tests in wide.items() if tests & broken)
        return guilty or frozenset(by_path)


def _made(
    config: Config,
    known: ImpactMap,
    now: Snapshot,
    tests: Sequence[BaselineTest],
    runs: Sequence[Told],
    *,
    again: AbstractSet[str],
    collected: bool,
) -> ImpactMap:
    """The known map with the runs put in, if there were any."""
    traced = next((run.transcript for run in runs if run.traced), None)
    uncollected = traced.uncollected if traced and collected else known.uncollected
    if collected:
        listed = {test.node_id for test in tests}
        missed = baseline.uncollected(uncollected, now.contents)
        tests = [*tests, *(test for test in missed if test.node_id not in listed)]
    order = [test.node_id for test in tests]
    digests = TestDigests(config.root, now.contents)
    translate = merge.translator(known, order, again, collected=collected)
    Contents(config).keep(now.contents.values())
    return replace(
        known,
        tests=tuple(replace(test, digest=digests.of(test.node_id)) for test in tests),
        coverage=merge.coverage(
            now.contents, merge.seen(traced, order) if traced else {}, known.coverage, translate
        ),
        files=now.digests,
        held=dict(now.held),
        uncollected=dict(uncollected),
    )


def _nothing_passes(tests: Sequence[BaselineTest]) -> str:
    failing = [test for test in tests if not test.skipped]
    shown = "; ".join(f"{t.node_id}: {t.message or t.outcome}" for t in failing[:3])
    return (
        f"none of the {len(tests)} tests passes before any candidate: {shown}. "
        "Are the project's dependencies installed for the interpreter? (--python)"
    )
