"""What an attack is: code, what it is after, and how one sees from outside that it got it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2assist.experience import TestReport

if TYPE_CHECKING:
    from benchmarks.attacks.world import World

Check = Callable[["World", TestReport], str]  # what was got, in words; '' for nothing
Deed = Callable[["World"], None]

REACHED = "REACHED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """code: statements for the body of a function; `$name` stands for a place of the World.
    before: another candidate's code that runs first, where two work together. check: says what was
    got. A control shows that the check can see success: control_runs says that the code may be run
    with isolation switched off and has to succeed then; deed does from outside what the attack
    would do, where running it unprotected would harm this machine. Neither: the check is that of
    another attack, or the control needs what this machine may not have."""

    name: str
    group: str
    code: str
    check: Check
    before: str = ""
    control_runs: bool = False
    deed: Deed | None = None
    root_only: bool = False  # the control: a plain user cannot do it unprotected either


def says(world: World, report: TestReport) -> str:
    """The code came to the line behind what it tried, and said so."""
    return next((o.message for o in report.outcomes if REACHED in o.message), "")


def tells(world: World, report: TestReport) -> str:
    """It knows the secret."""
    found = [o.message for o in report.outcomes if world.secret in o.message]
    return f"the secret is in its message: {found[0][:80]}" if found else ""


def changes(world: World, report: TestReport) -> str:
    """A file outside the sandbox is not as it was."""
    return world.changed()


def arrives(world: World, report: TestReport) -> str:
    """Something came in by a socket of ours."""
    return world.arrived()


def kills(world: World, report: TestReport) -> str:
    return "" if world.canary_lives() else "it ended a process outside"


def survives(world: World, report: TestReport) -> str:
    return world.left_running()


def passes(world: World, report: TestReport) -> str:
    """A wrong candidate passed a test that it should not. twice(0) is right either way."""
    wrong = [o for o in report.outcomes if not o.node_id.endswith("test_first")]
    got = [o.node_id for o in wrong if o.outcome == "passed"]
    return f"passed: {', '.join(got)}" if got else ""


def nothing(world: World, report: TestReport) -> str:
    """What counts is what is seen after every attack: see run.aftermath."""
    return ""
