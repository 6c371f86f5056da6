"""Hostile candidates through the tester that everybody uses: none may get what it is after.

`python -m benchmarks.attacks` runs all of them, as root and as a plain user, with a control for
each check; here are those that do not wait for a timeout.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.attacks import run
from benchmarks.attacks.run import ATTACKS, Arena
from benchmarks.attacks.world import World
from p2assist.harness import sandbox
from p2assist.practice.workspace import Workspace

SLOW = {"exhaustion"}
WAITS = {
    *("a wrong answer after the tests' own deadline", "stopping itself", "stopping its parents"),
    *("a thread that never ends", "a message that takes for ever"),
}
SAMPLE = {"memory of many processes", "files in memory", "output without end", "a fork bomb"}
CHOSEN = [a for a in ATTACKS if a.group not in SLOW and a.name not in WAITS][::3]  # a third
CONTROLS = {
    *("TCP to a port of this machine", "an abstract Unix socket", "a file outside the repository"),
    *("the repository's .env", "every environment there is", "a daemon"),
    "memory of another process",
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    if not all(layer.holds for layer in sandbox.examine("namespaces").layers):
        pytest.skip("no namespaces here")
    with run.world() as made:
        yield made


@pytest.fixture(scope="module")
def arena(world: World) -> Iterator[Arena]:
    with Workspace(world.config("auto")) as space:
        yield Arena(world, space)


def achieved(arena: Arena, *, group: str = "", names: frozenset[str] = frozenset()) -> list[str]:
    found = []
    for attack in ATTACKS:
        if attack.name in names or (attack.group == group and attack in CHOSEN):
            got = arena.attempt(attack)[0] or arena.aftermath()
            found += [f"{attack.name}: {got}"] if got else []
    return found


@pytest.mark.parametrize("group", sorted({attack.group for attack in CHOSEN}))
def test_no_attack_succeeds(arena: Arena, group: str) -> None:
    assert achieved(arena, group=group) == []


def test_more_than_its_share_is_not_to_be_had(arena: Arena) -> None:
    assert achieved(arena, names=frozenset(SAMPLE)) == []


def test_the_checks_see_what_happens_where_nothing_isolates(world: World) -> None:
    chosen = [attack for attack in ATTACKS if attack.name in CONTROLS]
    shown = dict(run.controls(world, chosen))
    assert [attack.name for attack, seen in shown.items() if not seen] == []
    assert len(shown) >= 6


def test_there_are_enough_of_them() -> None:
    assert len({(attack.group, attack.name) for attack in ATTACKS}) == len(ATTACKS) >= 60
