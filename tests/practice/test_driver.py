from collections.abc import Iterator
from pathlib import Path

import pytest

from p2assist.experience import CoveringTest, Source, Task, TestReport
from p2assist.generation.generator import FakeGenerator
from p2assist.harness.tester import FakeTester
from p2assist.practice.driver import Tally, practise
from p2assist.replay.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'replay.db'}") as opened:
        yield opened


def task(number: int) -> Task:
    source = f"def f{number}(a):\n    return a + {number}\n"
    start = source.index("return")
    tests = (CoveringTest("tests/test_f.py::test_f", "d1"),)
    return Task("f.py", source, start, len(source) - 1, function=f"f{number}", tests=tests)


def test_everything_is_kept_passed_and_failed(store: Store) -> None:
    tally = practise(FakeGenerator(), FakeTester(), store, [task(1), task(2)])
    assert tally == Tally(
        tasks=2, candidates=6, distinct=6, tested=6, passing_all=2, untested=0, unusable=0
    )
    kept = list(store.experiences())
    references = [e for e in kept if e.source is Source.REFERENCE]
    assert [e.candidate.text for e in references] == [task(1).reference, task(2).reference]
    assert all(e.report and e.report.passes_all for e in references)
    assert len(kept) == 8
    assert {e.pass_rate for e in kept if e.source is Source.SELF} == {0.0, 1.0}


def test_a_practised_task_is_known_by_model_and_adapter(store: Store) -> None:
    practise(FakeGenerator(), FakeTester(), store, [task(1)])
    assert store.practised("fake", "") == {task(1).key}
    assert store.practised("fake", "other") == set()


def test_nothing_of_a_task_whose_own_code_fails_is_kept(store: Store) -> None:
    tally = practise(
        FakeGenerator(),
        FakeTester(lambda task, text, node_id: False),
        store,
        [task(1)],
    )
    assert tally == Tally(unusable=1)
    assert list(store.experiences()) == []
    assert store.practised("fake", "") == {task(1).key}


def test_the_same_code_in_another_spelling_is_not_distinct(store: Store) -> None:
    answers = {task(1).reference: ("return a+1", "return (a + 1)", "return a")}
    tally = practise(FakeGenerator(answers), FakeTester(), store, [task(1)])
    assert (tally.candidates, tally.distinct) == (3, 2)


class Uncovered(FakeTester):
    """Says nothing of any candidate but the reference."""

    def test(self, task: Task, text: str) -> TestReport:
        return super().test(task, text) if text == task.reference else TestReport()


def test_untested_candidates_are_counted_as_such(store: Store) -> None:
    tally = practise(FakeGenerator(), Uncovered(), store, [task(1)])
    assert (tally.candidates, tally.tested, tally.untested, tally.passing_all) == (3, 1, 2, 1)


def test_an_interrupted_run_keeps_what_was_finished(store: Store) -> None:
    def stop_at_second(tally: Tally) -> None:
        if tally.tasks == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        practise(
            FakeGenerator(),
            FakeTester(),
            store,
            [task(n) for n in range(5)],
            progress=stop_at_second,
        )
    assert store.practised("fake", "") == {task(0).key, task(1).key}
