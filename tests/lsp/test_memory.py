from __future__ import annotations

import threading
from pathlib import Path

from p2assist_lsp.memory import Memory

from p2assist.errors import StoreError
from p2assist.experience import Candidate, Experience, Feedback, FeedbackKind, Task, TestReport
from p2assist.replay.store import Store

TASK = Task("a.py", "x = \n", 4, 4)


def experience(
    text: str = "1", *feedback: FeedbackKind, report: TestReport | None = None
) -> Experience:
    candidate = Candidate(text, logprob=-1.0, num_tokens=1, rank=0, model="fake")
    return Experience(TASK, candidate, report, tuple(Feedback(kind) for kind in feedback))


def test_it_writes_in_order_and_from_a_thread_of_its_own(tmp_path: Path) -> None:
    threads, troubles = [], []

    def open_store() -> Store:
        threads.append(threading.current_thread())
        return Store.open(f"sqlite:///{tmp_path / 'replay.db'}")

    memory = Memory(open_store, troubles.append)
    assert threads == []  # nothing is opened before there is something to keep
    memory.keep([experience("1"), experience("2", FeedbackKind.ACCEPTED)])
    memory.event(experience("2").key, "shown", {"place": 0})
    memory.event(experience("2").key, "survived", {"after": 30.0})
    memory.flush()
    with Store.open(f"sqlite:///{tmp_path / 'replay.db'}") as store:
        assert {e.candidate.text for e in store.experiences()} == {"1", "2"}
        kinds = [event.kind for event in store.events(experience("2").key)]
        assert [kind for kind in kinds if kind in ("shown", "survived")] == ["shown", "survived"]
    memory.close()
    (thread,) = threads
    assert thread is not threading.current_thread()
    assert troubles == []


def test_closing_writes_what_is_under_way(tmp_path: Path) -> None:
    memory = Memory(lambda: Store.open(f"sqlite:///{tmp_path / 'replay.db'}"), print)
    for number in range(20):
        memory.keep([experience(str(number))])
    memory.close()
    with Store.open(f"sqlite:///{tmp_path / 'replay.db'}") as store:
        assert store.stats().candidates == 20


def test_a_store_that_refuses_is_told_once_and_tried_again(tmp_path: Path) -> None:
    tries, troubles = [], []

    def open_store() -> Store:
        tries.append(1)
        if len(tries) < 3:
            raise StoreError("the disk is full")
        return Store.open(f"sqlite:///{tmp_path / 'replay.db'}")

    memory = Memory(open_store, troubles.append)
    for _ in range(3):
        memory.keep([experience()])
    memory.flush()
    memory.close()
    assert troubles == ["the disk is full"]
    with Store.open(f"sqlite:///{tmp_path / 'replay.db'}") as store:
        assert store.stats().candidates == 1


def test_a_bug_in_keeping_ends_nothing() -> None:
    troubles: list[str] = []

    def open_store() -> Store:
        raise KeyError("bug")

    memory = Memory(open_store, troubles.append)
    memory.keep([experience()])
    memory.flush()
    memory.close()
    assert troubles == ["keeping failed: KeyError('bug')"]
