from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from p2assist.errors import CancelledError, ModelError
from p2assist.experience import Task
from p2assist.generation.request import Control, Snippet, SnippetKind
from p2assist.generation.serve.client import ModelProcess, ServedGenerator
from p2assist.generation.serve.messages import Report
from p2assist.generation.serve.place import Place

from .conftest import Make, notes

Asked = Callable[[str], ServedGenerator]
TASK = Task("a.py", "x = 1\n", 4, 5)


def status(process: ModelProcess) -> Report:
    found = process.status()
    assert found is not None
    return found


def wait_for(true: Callable[[], object], what: str) -> None:
    for _ in range(2000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError(f"never: {what}")


def pass_time_until(place: Place, note: str) -> None:
    wait_for(lambda: note in notes(place), note)


def test_importing_the_client_imports_no_torch() -> None:
    code = "import sys, p2assist.generation.serve.client; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_request_starts_the_process_and_the_next_finds_it(asked: Asked, place: Place) -> None:
    fake = asked("fake")
    assert fake.process.status() is None
    snippet = Snippet(SnippetKind.OPEN, "b.py", "y = 2\n")
    first = fake.generate(TASK, beams=2, context=(snippet,))
    assert [c.text for c in first] == ["pass", "1"]
    assert fake.generate(TASK, beams=2) == first
    assert sum(note.startswith("start") for note in notes(place)) == 1
    assert [n for n in notes(place) if n.startswith("load")] == ["load fake  whole"]


def test_scores_come_in_the_given_order(asked: Asked) -> None:
    found = asked("fake").score(TASK, ["b", "a"])
    assert [c.text for c in found] == ["b", "a"]


def test_lone_surrogates_come_back_as_they_were(asked: Asked) -> None:
    task = Task("a.py", "x = '\ud800'\n", 4, 7)
    assert asked("fake").generate(task)
    assert asked("fake").score(task, ["'\ud800'"])[0].text == "'\ud800'"


def test_candidates_bear_the_name_that_the_settings_say(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    generator = ServedGenerator("./model", make())
    assert generator.spec.model == str(tmp_path / "model")
    assert generator.generate(TASK)[0].model == "./model"


def test_many_processes_at_once_start_one(place: Place, make: Make) -> None:
    make()  # the folder is there
    code = (
        "import sys; from pathlib import Path\n"
        "from p2assist.experience import Task\n"
        "from p2assist.generation.serve.client import ModelProcess, ServedGenerator\n"
        "from p2assist.generation.serve.place import Place\n"
        "place = Place(Path(sys.argv[1]), Path(sys.argv[1]))\n"
        "process = ModelProcess(place, start=sys.argv[2:])\n"
        "ServedGenerator('fake', process).generate(Task('a.py', 'x', 0, 1))\n"
        "print(process.status().pid)\n"
    )
    start = make()._start
    line = [sys.executable, "-c", code, str(place.folder), *start]
    clients = [subprocess.Popen(line, stdout=subprocess.PIPE, text=True) for _ in range(12)]
    pids = {client.communicate(timeout=120)[0].strip() for client in clients}
    assert len(pids) == 1
    assert all(client.returncode == 0 for client in clients)
    assert [n for n in notes(place) if n.startswith("start")] == [f"start {pids.pop()}"]


def test_processes_started_by_hand_at_once_leave_one(place: Place, make: Make) -> None:
    place.prepare()
    started = [subprocess.Popen(make()._start) for _ in range(6)]
    wait_for(lambda: sum(p.poll() is None for p in started) == 1, "five have left")
    assert make().status()
    make().stop()
    assert sorted(p.wait(30) for p in started) == [0, 3, 3, 3, 3, 3]


def test_killed_it_comes_back(asked: Asked, place: Place) -> None:
    fake = asked("fake")
    fake.generate(TASK)
    before = status(fake.process).pid
    os.kill(before, signal.SIGKILL)
    assert fake.generate(TASK)
    assert status(fake.process).pid != before


def test_killed_within_a_request_it_is_asked_once_more(asked: Asked, place: Place) -> None:
    assert asked("kill once").generate(TASK)
    assert sum(note.startswith("start") for note in notes(place)) == 2


def test_killed_twice_within_a_request_is_a_clear_error(asked: Asked, place: Place) -> None:
    with pytest.raises(
        ModelError, match=r"ended \d+ times while it worked on this: see .*model\.log"
    ):
        asked("kill").generate(TASK)
    assert sum(note.startswith("start") for note in notes(place)) == 2


def test_a_stale_socket_is_no_obstacle(asked: Asked, place: Place) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place.address))
    assert place.address.exists()
    assert asked("fake").generate(TASK)


def test_a_model_that_cannot_be_loaded_is_tried_again_later_only(
    asked: Asked, place: Place
) -> None:
    for _ in range(3):
        with pytest.raises(ModelError, match="'missing' cannot be loaded"):
            asked("missing").generate(TASK)
    assert notes(place).count("load missing  whole") == 1
    assert status(asked("missing").process).models[0].state == "failed"


def test_a_bug_in_the_process_names_its_log(asked: Asked) -> None:
    with pytest.raises(ModelError, match=r"RuntimeError: a bug\): see .*model\.log"):
        asked("bug").generate(TASK)
    assert asked("fake").generate(TASK)


def test_cancelling_stops_the_decoding(asked: Asked, place: Place) -> None:
    cancelled = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(asked("slow").generate, TASK, control=Control(cancelled=cancelled))
        pass_time_until(place, "step")
        cancelled.set()
        with pytest.raises(CancelledError):
            running.result(60)
    process = asked("slow").process
    wait_for(lambda: status(process).busy == 0, "idle")
    steps = notes(place).count("step")
    time.sleep(0.1)
    assert notes(place).count("step") == steps


def test_a_client_that_dies_takes_its_request_along(asked: Asked, place: Place) -> None:
    process = asked("slow").process
    code = (
        "import sys; from pathlib import Path\n"
        "from p2assist.experience import Task\n"
        "from p2assist.generation.serve.client import ModelProcess, ServedGenerator\n"
        "from p2assist.generation.serve.place import Place\n"
        "process = ModelProcess(Place(Path(sys.argv[1]), Path(sys.argv[1])), start=sys.argv[2:])\n"
        "ServedGenerator('slow', process).generate(Task('a.py', 'x', 0, 1))\n"
    )
    line = [sys.executable, "-c", code, str(place.folder), *process._start]
    client = subprocess.Popen(line)
    pass_time_until(place, "step")
    client.kill()
    client.wait()
    wait_for(lambda: status(process).busy == 0, "idle")
    steps = notes(place).count("step")
    time.sleep(0.1)
    assert notes(place).count("step") == steps


def test_the_deadline_crosses_the_socket(asked: Asked) -> None:
    control = Control(deadline=time.monotonic() + 0.2)
    assert asked("slow").generate(TASK, control=control)  # the best so far
    assert asked("fake").generate(TASK, control=Control(deadline=time.monotonic() - 1)) == []


def test_loading_is_told_and_waits_no_longer_than_the_deadline(asked: Asked) -> None:
    told: list[str] = []
    late = asked("late")
    late.say = told.append
    assert late.generate(TASK, control=Control(deadline=time.monotonic() + 0.2)) == []
    assert told == ["loading late"]
    assert late.generate(TASK)  # it went on loading
    late.prepare()


def test_a_newer_request_of_a_document_supersedes_the_older(asked: Asked, place: Place) -> None:
    one = replace(asked("slow"), window="first")
    with ThreadPoolExecutor(2) as pool:
        older = pool.submit(one.generate, TASK)
        pass_time_until(place, "step")
        newer = pool.submit(one.generate, TASK, control=Control(deadline=time.monotonic() + 1.0))
        with pytest.raises(CancelledError):
            older.result(60)
        assert newer.result(60)


def test_models_do_not_wait_for_one_another(asked: Asked, place: Place) -> None:
    cancelled = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(asked("slow").generate, TASK, control=Control(cancelled=cancelled))
        pass_time_until(place, "step")
        assert asked("fake").generate(TASK)
        queued = Control(deadline=time.monotonic() + 0.1)
        assert asked("slow").generate(TASK, control=queued) == []  # its turn did not come
        cancelled.set()
        assert isinstance(running.exception(60), CancelledError)


def test_a_new_champion_serves_the_next_request_and_none_fails(
    make: Make, place: Place, tmp_path: Path
) -> None:
    chosen: list[tuple[Path | None, str]] = [(None, "")]
    generator = ServedGenerator("fake", make(), chosen=lambda: chosen[-1])
    stop, seen = threading.Event(), []

    def keep_asking() -> None:
        while not stop.is_set():
            seen.append(generator.generate(TASK)[0].adapter)

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(keep_asking) for _ in range(2)]
        for name in ("one", "two", "three"):
            before = len(seen)
            wait_for(lambda before=before: len(seen) > before + 5, "requests")
            chosen.append((tmp_path / name, name))
            assert generator.generate(TASK)[0].adapter == name
        wait_for(lambda: "three" in seen, "the last Champion's first answer")
        stop.set()
        for one in asking:
            one.result(60)
    assert sorted(set(seen)) == ["", "one", "three", "two"]
    loads = [n for n in notes(place) if n.startswith("load")]
    assert loads == [
        "load fake  whole",
        "load fake one shared",
        "load fake two shared",
        "load fake three shared",
    ]


def test_it_leaves_when_idle_though_clients_are_connected(make: Make, place: Place) -> None:
    process = make(idle=0.4)
    ServedGenerator("fake", process).generate(TASK)
    link = place.connect()
    assert link is not None
    with link:
        wait_for(lambda: not place.address.exists(), "it leaves")
    assert ServedGenerator("fake", process).generate(TASK)


def test_asked_to_leave_it_finishes_first(asked: Asked, place: Place) -> None:
    slow = asked("slow")
    with ThreadPoolExecutor(1) as pool:
        control = Control(deadline=time.monotonic() + 1.0)
        running = pool.submit(slow.generate, TASK, control=control)
        pass_time_until(place, "step")
        assert slow.process.stop()
        assert running.result(60)
    assert slow.process.status() is None
    assert not slow.process.stop()


@pytest.mark.parametrize(("protocol", "version"), [("0", "9.0.0"), ("1", "0.0.1")])
def test_an_older_process_is_sent_away(make: Make, protocol: str, version: str) -> None:
    old = make("--protocol", protocol, "--version", version)
    assert not old.stop()
    old.place.prepare()
    first = subprocess.Popen(old._start)
    wait_for(old.place.address.exists, "it answers")
    assert ServedGenerator("fake", make()).generate(TASK)
    assert first.wait(30) == 0
    assert status(make()).version != version


def test_a_newer_process_is_left_alone(make: Make) -> None:
    newer = make("--protocol", "2")
    newer.place.prepare()
    first = subprocess.Popen(newer._start)
    wait_for(newer.place.address.exists, "it answers")
    with pytest.raises(ModelError, match=r"newer than this one .* restart this editor"):
        ServedGenerator("fake", make()).generate(TASK)
    assert first.poll() is None
    assert make().stop()
    assert first.wait(30) == 0


def test_a_process_that_cannot_start_says_why(place: Place) -> None:
    start = (sys.executable, "-c", "raise SystemExit('no module of that name')")
    with pytest.raises(ModelError, match="ended with code 1: no module of that name"):
        ServedGenerator("fake", ModelProcess(place, start=start)).generate(TASK)
