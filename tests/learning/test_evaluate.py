from __future__ import annotations

import json

import pytest

from p2assist.errors import HarnessError, LearningError, ModelError
from p2assist.experience import Candidate, TestReport
from p2assist.generation.generator import FakeGenerator
from p2assist.learning.evaluate import Evaluation, TaskResult, evaluate


def results(*rows):
    """(function, rates, samples) rows as results of tasks of their own."""
    return tuple(TaskResult(f"t{n}", *row) for n, row in enumerate(rows))


def test_a_candidate_that_passes_all_gives_its_place(make_task, tester):
    evaluation = evaluate(FakeGenerator(), tester, [make_task()], k=8)
    (result,) = evaluation.results
    assert result.samples == 2  # the fake offers the reference second
    assert result.rates == (0.5, 1.0, 0.5)
    assert result.function == "m.py::f"
    assert evaluation.pass_at(1) == 0.0
    assert evaluation.pass_at(8) == 1.0
    assert evaluation.samples_to_pass == 2.0


def test_only_the_first_k_count(make_task, tester):
    answers = {"return 1": ["a", "b", "c", "return 1"]}
    evaluation = evaluate(FakeGenerator(answers), tester, [make_task()], k=3)
    assert tester.seen == ["a", "b", "c"]
    assert evaluation.results[0].samples is None
    assert evaluation.samples_to_pass == 4.0  # k + 1 stands for none


def test_a_long_function_counts_once():
    rows = results(*[("long", (1.0,), 1)] * 9, ("short", (0.0,), None))
    evaluation = Evaluation("m", "", 1, rows)
    assert evaluation.pass_at(1) == 0.5
    assert evaluation.mean_pass_rate == 0.5
    assert evaluation.samples_to_pass == 1.5


def test_untested_is_no_pass_and_no_zero_rate(make_task, make_report):
    silent = TaskResult.from_reports(make_task(), [TestReport(), make_report(0, not_run=1)])
    assert silent.samples is None
    evaluation = Evaluation("m", "", 2, (silent, *results(("g", (0.5, None), None))))
    assert silent.untested
    assert evaluation.untested == 0.5
    assert evaluation.pass_at(2) == 0.0
    assert evaluation.mean_pass_rate == 0.5


def test_a_partial_report_passes_nothing(make_task, make_report):
    result = TaskResult.from_reports(make_task(), [make_report(3, not_run=1)])
    assert result.samples is None


def test_offering_nothing_is_not_excused(make_task, tester):
    tasks = [make_task("a"), make_task("b", "return 2"), make_task("c"), make_task("d", "x")]
    answers = {"return 1": [], "return 2": ["return 2"], "x": []}
    evaluation = evaluate(FakeGenerator(answers), tester, tasks, k=8)
    assert [r.function for r in evaluation.results] == [f"m.py::{name}" for name in "abcd"]
    assert [r.samples for r in evaluation.results] == [None, 1, None, None]
    assert evaluation.mean_pass_rate == 0.25


def test_progress_counts_tasks(make_task, tester):
    seen = []
    tasks = [make_task(f"f{n}") for n in range(12)]
    evaluate(FakeGenerator(), tester, tasks, progress=lambda *step: seen.append(step))
    assert seen == [(n, 12) for n in range(1, 13)]


def test_a_generators_error_is_not_swallowed(make_task, tester):
    class Broken(FakeGenerator):
        def generate(self, task, *, beams=8):
            raise ModelError("no weights")

    with pytest.raises(ModelError, match="no weights"):
        evaluate(Broken(), tester, [make_task()] * 3)


def test_a_missing_report_is_an_error(make_task, make_report):
    class Forgetful:
        def test_many(self, pairs):
            yield from [make_report(1) for _ in pairs][:-1]

    with pytest.raises(HarnessError, match="left out"):
        evaluate(FakeGenerator(), Forgetful(), [make_task()])


def test_json_round_trip():
    rows = results(("f", (0.1, None), None), ("g", (), None), ("h", (1.0,), 1))
    evaluation = Evaluation("pocket", "2026-01-01-abcdef", 8, rows, 1.5)
    assert Evaluation.from_json(evaluation.to_json()) == evaluation
    summary = json.loads(json.dumps(evaluation.summary()))
    assert summary["pass_at_8"] == pytest.approx(1 / 3)
    assert summary["functions"] == 3
    with pytest.raises(LearningError, match="no stored evaluation"):
        Evaluation.from_json('{"model": 3}')


def test_pass_at_more_than_k_is_refused():
    with pytest.raises(ValueError, match="pass@9"):
        Evaluation("m", "", 8, ()).pass_at(9)


def test_an_empty_evaluation_has_no_pass_rate():
    empty = Evaluation("m", "", 8, ())
    assert empty.mean_pass_rate is None
    assert (empty.pass_at(1), empty.samples_to_pass, empty.untested) == (0.0, 9.0, 0.0)


def test_ranks_are_the_models_order(make_task, tester):
    """Candidates are tested in the order that the generator gives them."""

    class Reversed(FakeGenerator):
        def generate(self, task, *, beams=8):
            return [Candidate(text, -1.0, 1) for text in ("z", "y", "return 1")]

    evaluation = evaluate(Reversed(), tester, [make_task()])
    assert tester.seen == ["z", "y", "return 1"]
    assert evaluation.results[0].samples == 3
