"""What there is in a repository: for `p2assist status`."""

from __future__ import annotations

from p2assist.config import team_file
from p2assist.harness import impact as impact_map
from p2assist.harness.impact import ImpactMap
from p2assist.practice.setup import SHOWN
from p2assist.practice.workspace import Workspace


def quarantine(known: ImpactMap) -> str:
    """The tests that are in no verdict because they say now this, now that."""
    if not known.unstable:
        return "no test"
    shown = [f"{test.node_id}: {test.unstable}" for test in known.unstable[:SHOWN]]
    more = len(known.unstable) - len(shown)
    return "\n".join([*shown, *([f"and {more} more"] if more else [])])


def status(space: Workspace) -> dict[str, object]:
    """Names and values, cheap to gather: no test is run and no model is loaded."""
    config = space.config
    known = impact_map.load(config)
    champion = space.registry.champion()
    found: dict[str, object] = {
        "repository": str(config.root),
        "settings": str(team_file(config.root)),
        "model": config.model,
        "champion": champion.name if champion else "none: the base model serves",
    }
    if known is None:
        found["map"] = "none: run p2assist init"
    else:
        fresh = "" if known.fresh(config.root) else ", files have changed since"
        found["map"] = f"{len(known.tests)} tests, {len(known.paths)} files{fresh}"
        found["quarantine"] = quarantine(known)
        if known.held:
            found["held"] = ", ".join(sorted(known.held)) + ": half-written, or breaking tests"
    running = space.process.status()
    if running is None:
        found["model process"] = "none: it starts when it is needed"
    else:
        held = ", ".join(model.model for model in running.models) or "no model"
        found["model process"] = f"pid {running.pid}, {running.rss_mb:.0f} MiB, holds {held}"
    stats = space.store.stats()
    found["experiences"] = stats.candidates
    found["tested"] = stats.tested
    found["passing all"] = stats.passing_all
    return found
