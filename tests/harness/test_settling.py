"""A verdict is told before its cell has ended; how many may end at a time is bounded."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from p2assist.config import Config
from p2assist.experience import Task
from p2assist.harness import sandbox, server
from p2assist.harness.impact import ImpactMap
from p2assist.harness.server import Door
from p2assist.harness.tester import WarmTester

needs_namespaces = pytest.mark.skipif(
    sandbox.detect().name != "namespaces", reason="the warm server needs namespaces"
)
MARK = "4242.125"  # seconds of sleep, by which a process is known


def sleepers() -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if MARK in (process.info["cmdline"] or ()):
            found.append(process.pid)
    return found


@needs_namespaces
def test_nothing_of_a_candidate_is_left_when_its_tester_has_settled(
    warm_tester: WarmTester, shop_task: Callable[[str, str], Task]
) -> None:
    task = shop_task("shop/odd.py", "return number * 2")
    start = f"subprocess.Popen(['/bin/sleep', '{MARK}'], start_new_session=True)"
    text = f"import subprocess\n    [{start} for _ in range(20)]\n    return number * 2"
    seen: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            seen.extend(sleepers())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert warm_tester.test(task, text).passes_all
        assert warm_tester.settle(60)
        assert sleepers() == []
    finally:
        ended.set()
        watcher.join()
    assert seen  # else nothing was shown


@needs_namespaces
def test_where_memory_is_short_the_candidate_runs_again_by_itself(
    shop: tuple[Config, ImpactMap],
    shop_task: Callable[[str, str], Task],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if the machine had less left than it has at all, and any cell held much."""
    wanted = "_FLOOR, _HOG = 16, 16"
    texts = tuple((n, t.replace(wanted, "_FLOOR, _HOG = 1, 1 << 40")) for n, t in server._modules())
    assert texts != server._modules()
    monkeypatch.setattr(server, "_modules", lambda: texts)
    task = shop_task("shop/odd.py", "return number * 2")
    with WarmTester(*shop) as tester:
        quick = tester.test(task, "return number * 2")
        slow = tester.test(task, "import time; time.sleep(0.5); return number * 2")
    assert (quick.level, slow.level) == ("swap", "subprocess")
    assert quick.passes_all and slow.passes_all


def test_without_a_server_all_is_settled(shop: tuple[Config, ImpactMap]) -> None:
    with WarmTester(*shop) as tester:
        assert tester.settle(0)


@pytest.fixture
def door() -> Iterator[Door]:
    """One of a server that is told nothing, and gives no children."""
    import socket

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    launcher = subprocess.Popen([sys.executable, "-c", ""])
    made = Door(ours, launcher, 2)
    yield made
    made.close()
    theirs.close()
    launcher.wait()


def cell() -> tuple[subprocess.Popen[bytes], int]:
    process = subprocess.Popen(["/bin/sleep", "60"])
    return process, os.pidfd_open(process.pid)


def test_a_candidate_waits_while_too_many_cells_are_ending(door: Door) -> None:
    cells = [cell() for _ in range(3)]
    for _, handle in cells:
        door.ends(handle)
    assert not door.settle(time.monotonic() + 0.05)
    taken = threading.Event()

    def take() -> None:
        door.take().close()
        taken.set()

    taker = threading.Thread(target=take)
    taker.start()
    assert not taken.wait(0.3)
    cells[0][0].kill()
    assert taken.wait(60)  # two may be ending
    taker.join()
    assert not door.settle(time.monotonic())
    for process, _ in cells:
        process.kill()
        process.wait()
    assert door.settle(time.monotonic() + 60)
