"""A run of some of the tests put into a map of all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from p2assist.errors import HarnessError
from p2assist.harness.credit import EVERYONE, FileCoverage, bit, places
from p2assist.harness.mapping import ImpactMap
from p2assist.harness.outcomes import Transcript
from p2assist.harness.outline import outline

Lines = dict[str, dict[int, int]]  # path -> 1-based line -> tests (a set of credit.py)


def coverage(
    contents: Mapping[str, bytes],
    lines: Lines,
    before: Mapping[str, FileCoverage],
    translate: Callable[[int], int],
) -> dict[str, FileCoverage]:
    """The files as they are now: what is known of before, put through translate, and what was
    seen to run."""
    found = {}
    for path, content in contents.items():
        if path.endswith(".py"):
            now, old = outline(content), before.get(path)
            file = old.moved(now).translated(translate) if old else FileCoverage.of(now)
            found[path] = file.credited(lines.get(path, {}))
    return found


def translator(
    known: ImpactMap, order: Sequence[str], again: AbstractSet[str], *, collected: bool
) -> Callable[[int], int]:
    """A function from a set of the known map to one of the new order: without the tests that ran
    again or are gone, and without what runs at import where that was seen anew."""
    now = {node_id: place for place, node_id in enumerate(order)}
    moves = [
        bit(now[test.node_id]) if test.node_id in now and test.node_id not in again else 0
        for test in known.tests
    ]
    kept = 0 if collected else EVERYONE
    done: dict[int, int] = {}

    def translate(tests: int) -> int:
        if tests not in done:
            found = tests & kept
            for place in places(tests & ~EVERYONE, len(moves)):
                found |= moves[place]
            done[tests] = found
        return done[tests]

    return translate


def seen(transcript: Transcript, order: Sequence[str]) -> Lines:
    """What the run under coverage saw. Raises HarnessError where it did not say."""
    numbers = {node_id: bit(place) for place, node_id in enumerate(order)}
    lines: Lines = {}
    told = _blob(transcript, "coverage")
    users: list[int] = []
    for name in told["contexts"]:
        tests = 0 if name else EVERYONE
        for node_id in told["fixtures"].get(name, [name]):
            tests |= numbers.get(node_id, 0)
        users.append(tests)
    for path, by_line in told["files"].items():
        of_file = lines.setdefault(path, {})
        for line, contexts in by_line.items():
            for context in contexts:
                of_file[int(line)] = of_file.get(int(line), 0) | users[context]
    for name in transcript.blobs:
        if name.startswith("alone"):
            try:
                alone = json.loads(transcript.blobs[name])
            except ValueError:  # it was killed while it told
                continue
            tests = numbers.get(alone["test"], 0)
            for path, ran in alone["files"].items():
                of_file = lines.setdefault(path, {})
                for line in ran:
                    of_file[line] = of_file.get(line, 0) | tests
    return lines


def _blob(transcript: Transcript, name: str) -> Mapping[str, Any]:
    try:
        told: Mapping[str, Any] = json.loads(transcript.blobs[name])
    except (KeyError, ValueError) as error:
        raise HarnessError(
            f"the run under coverage did not say which lines ran ({type(error).__name__}): "
            "install coverage for the project's interpreter"
        ) from error
    return told
