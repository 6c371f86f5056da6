"""The attacks alone, as whoever runs this: `python -m benchmarks.attacks [--only NAME] [--json]`.

The last line of stdout is one JSON object: `tried`, `succeeded` (name -> what it got), `controls`
(checks that were shown to see success), `blind` (checks whose control was not seen),
`forgeries_tried`, `forgeries_succeeded` (names), `user`, `isolation`, `levels`.
"""

from __future__ import annotations

import argparse
import collections
import json
import os

from rich.console import Console

from benchmarks.attacks import run
from p2assist.harness import sandbox
from p2assist.report import progress

err = Console(stderr=True)


def figures(only: str = "", isolation: str = "auto", *, controls: bool = True) -> dict[str, object]:
    chosen = [one for one in run.ATTACKS if only in f"{one.group}: {one.name}"]
    with progress.counts(err) as told, run.world() as made:
        findings = list(
            run.attacks(
                made,
                chosen,
                isolation=isolation,
                with_controls=controls,
                told=lambda done, total, what: told("attacks", done + 1, total, what),
            )
        )
        forged = (
            []
            if only
            else list(
                run.forgeries(
                    made, lambda done, total, what: told("forgeries", done + 1, total, what)
                )
            )
        )
    return {
        "user": "root" if os.geteuid() == 0 else "plain",
        "isolation": sandbox.detect(isolation).name,
        "tried": len(findings),
        "succeeded": {f"{f.attack.group}: {f.attack.name}": f.got for f in findings if f.got},
        "controls": sum(f.control is True for f in findings),
        "blind": [f"{f.attack.group}: {f.attack.name}" for f in findings if f.control is False],
        "levels": dict(collections.Counter(f.level for f in findings)),
        "slowest": {
            f.attack.name: round(f.seconds, 1)
            for f in sorted(findings, key=lambda f: -f.seconds)[:5]
        },
        "forgeries_tried": len(forged),
        "forgeries_succeeded": [name for name, passed, _ in forged if passed],
        "forgeries_that_are_none": [name for name, _, real in forged if not real],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="attacks whose group or name holds this")
    parser.add_argument("--isolation", default="auto", help="auto, namespaces or landlock")
    parser.add_argument("--no-controls", action="store_true")
    given = parser.parse_args()
    found = figures(given.only, given.isolation, controls=not given.no_controls)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
