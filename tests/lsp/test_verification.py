"""In which order candidates are tested, and what stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from p2assist_lsp.offers import Offer, State
from p2assist_lsp.verification import Verifier

from p2assist.errors import HarnessError, StoppedError
from p2assist.experience import Candidate, CoveringTest, Task, TestReport
from p2assist.harness.demand import WHOLE, Demand
from p2assist.harness.tester import FakeTester

SECONDS = 10.0


class Held(FakeTester):
    """Tests when it may, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(lambda task, text, node_id: "bad" not in text)
        self.asked: list[str] = []
        self.may, self.asking = threading.Semaphore(0), threading.Semaphore(0)
        self.raises: Exception | None = None

    def test(self, task: Task, text: str, demand: Demand = WHOLE) -> TestReport:
        self.asked.append(text)
        self.asking.release()
        while not self.may.acquire(timeout=0.005):
            if demand.stop is not None and demand.stop.is_set():
                raise StoppedError("stopped")
        if self.raises:
            raise self.raises
        return super().test(task, text, demand)


class Changes:
    """The news of offers, to be waited for."""

    def __init__(self) -> None:
        self._news = threading.Condition()

    def __call__(self, offer: Offer) -> None:
        with self._news:
            self._news.notify_all()

    def until(self, true: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(true, SECONDS)


@pytest.fixture
def tester():
    return Held()


@pytest.fixture
def changes():
    return Changes()


@pytest.fixture
def verifier(tester, changes):
    made = Verifier(tester, changes, pause=0.0)
    yield made
    made.close()
    tester.may.release(100)


def offer(*texts: str, uri: str = "a", tests: int = 1) -> Offer:
    covering = tuple(CoveringTest(f"t.py::test_{n}") for n in range(tests))
    task = Task("a.py", "x = \n", 4, 4, tests=covering)
    candidates = [
        Candidate(t, logprob=-1.0, num_tokens=1, rank=n, model="fake") for n, t in enumerate(texts)
    ]
    return Offer.of(uri, 1, task, candidates)


def test_the_shown_one_first_and_each_is_told(verifier, tester, changes):
    tester.may.release(9)
    made = offer("shown", "bad", "third")
    verifier.verify(made, [made.choices[2], made.choices[0], made.choices[1]])
    changes.until(lambda: all(c.state is State.TESTED for c in made.choices))
    assert tester.asked == ["third", "shown", "bad"]
    assert [c.pass_rate for c in made.choices] == [1.0, 0.0, 1.0]


def test_siblings_wait_for_a_pause_and_are_not_tested_where_the_user_types_on(
    tester, changes, request
):
    verifier = Verifier(tester, changes, pause=0.05)
    request.addfinalizer(verifier.close)
    tester.may.release(9)
    old, new = offer("old", "older"), offer("new", "newer")
    verifier.verify(old, old.choices)
    changes.until(lambda: old.choices[0].state is State.TESTED)
    verifier.verify(new, new.choices)
    changes.until(lambda: all(c.state is State.TESTED for c in new.choices))
    assert tester.asked == ["old", "new", "newer"]
    seen = offer("seen", "too")
    verifier.verify(seen, seen.choices, hurry=True)
    changes.until(lambda: all(c.state is State.TESTED for c in seen.choices))


def test_siblings_of_a_known_best_wait_too(tester, changes, request):
    verifier = Verifier(tester, changes, pause=60.0)
    request.addfinalizer(verifier.close)
    tester.may.release(9)
    made = offer("known", "sibling")
    verifier.test_now(made, made.choices[0])
    verifier.verify(made, made.choices)
    other = offer("other", uri="b")
    verifier.verify(other, other.choices)
    changes.until(lambda: other.choices[0].state is State.TESTED)
    assert tester.asked == ["known", "other"]


def test_a_newer_offer_of_the_document_stops_the_older(verifier, tester, changes):
    old, new = offer("old", "older"), offer("new")
    verifier.verify(old, old.choices)
    assert tester.asking.acquire(timeout=SECONDS)
    verifier.verify(new, new.choices)
    changes.until(lambda: new.choices[0].state is State.TESTING)
    assert old.choices[0].state is State.WAITING
    tester.may.release()
    changes.until(lambda: new.choices[0].state is State.TESTED)
    assert tester.asked == ["old", "new"]


def test_other_documents_and_slots_go_on(verifier, tester, changes):
    one, two, kept = offer("one", uri="a"), offer("two", uri="b"), offer("kept", uri="a")
    tester.may.release(9)
    verifier.verify(one, one.choices)
    verifier.verify(two, two.choices)
    verifier.verify(kept, kept.choices, slot="a#accepted")
    changes.until(lambda: all(o.choices[0].state is State.TESTED for o in (one, two, kept)))


def test_what_is_known_is_not_tested_again(verifier, tester, changes):
    tester.may.release(9)
    first, again, more = offer("a"), offer("a", "b"), offer("a", tests=2)
    verifier.verify(first, first.choices)
    changes.until(lambda: first.choices[0].state is State.TESTED)
    verifier.recall(again)
    assert [c.state for c in again.choices] == [State.TESTED, State.WAITING]
    verifier.recall(more)  # other tests
    assert more.choices[0].state is State.WAITING
    unsaved = offer("a")
    unsaved.unsaved = {"b.py": "y = 1\n"}
    verifier.recall(unsaved)  # another tree
    assert unsaved.choices[0].state is State.WAITING


def test_nothing_is_run_where_nothing_covers(verifier, tester):
    made = offer("a", tests=0)
    verifier.recall(made)
    assert made.choices[0].state is State.UNTESTED
    assert made.choices[0].evidence == "no covering test"
    verifier.verify(made, made.choices)
    verifier.close()
    assert tester.asked == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (HarnessError("no interpreter"), "no interpreter"),
        (KeyError("bug"), "testing failed: KeyError('bug')"),
    ],
)
def test_what_cannot_be_tested_says_why_and_the_next_one_is(
    verifier, tester, changes, error, words
):
    tester.raises = error
    tester.may.release(1)
    made = offer("a", "b")
    verifier.verify(made, made.choices)
    changes.until(lambda: made.choices[0].state is State.UNTESTED)
    assert made.choices[0].evidence == words
    tester.raises = None
    tester.may.release(1)
    changes.until(lambda: made.choices[1].state is State.TESTED)


def test_one_that_is_asked_for_is_tested_now(verifier, tester):
    tester.may.release(9)
    made = offer("a", "bad")
    verifier.test_now(made, made.choices[1])
    assert made.choices[1].pass_rate == 0.0
    assert made.choices[0].state is State.WAITING
