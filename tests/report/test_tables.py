import io
from collections.abc import Sequence

from rich.console import Console, RenderableType

from p2assist.experience import (
    Candidate,
    Experience,
    Outcome,
    Task,
    TestOutcome,
    TestReport,
)
from p2assist.generation.serve.messages import HeldModel, Report
from p2assist.p2value import PRESETS
from p2assist.report import records, tables

SETTINGS = PRESETS["default"]


def printed(table: RenderableType) -> str:
    stream = io.StringIO()
    Console(file=stream, width=140).print(table)
    return stream.getvalue()


def report(*outcomes: Outcome) -> TestReport:
    return TestReport(tuple(TestOutcome(f"t.py::test_{i}", o) for i, o in enumerate(outcomes)))


def rows(reports: Sequence[TestReport | None]) -> list[records.CandidateRow]:
    candidates = [Candidate(f"return {i}", -1.0 - i, 2, rank=i) for i in range(len(reports))]
    return records.ranked(candidates, reports, SETTINGS)


def test_tested_and_passing_comes_first_with_its_evidence() -> None:
    ranked = rows([report(Outcome.FAILED, Outcome.PASSED), report(*[Outcome.PASSED] * 2), None])
    assert [row.text for row in ranked] == ["return 1", "return 0", "return 2"]
    shown = printed(tables.candidates(ranked, tested=True))
    assert "2/2 covering tests pass" in shown
    assert "1/2 covering tests pass; fails test_0" in shown
    assert "untested" in shown


def test_many_failures_are_counted_not_listed() -> None:
    shown = printed(tables.candidates(rows([report(*[Outcome.FAILED] * 9)]), tested=True))
    assert "and 6 more" in shown


def test_row_as_json_has_no_p2value_where_nothing_was_tested() -> None:
    (row,) = rows([None])
    value = row.to_json()
    assert value["p2value"] is None
    assert value["pass_rate"] is None
    assert value["evidence"] == "not tested"


def test_markup_in_code_and_messages_is_printed_as_it_is() -> None:
    source = "x = [red]\n"
    task = Task("a.py", source, 4, 9)
    outcome = TestOutcome("t.py::t[a]", Outcome.FAILED, message="[bold]no[/bold]")
    one = Experience(task, Candidate("[green]", -1.0, 2), TestReport((outcome,)))
    shown = printed(tables.experience(one, records.of(one, SETTINGS)))
    for text in ("[green]", "t.py::t[a]", "[bold]no[/bold]"):
        assert text in shown
    listed = printed(tables.experiences([(one, records.of(one, SETTINGS))]))
    assert "[green]" in listed


def test_the_model_process_names_its_models_in_words() -> None:
    assert "False" in printed(tables.process(None))
    models = (HeldModel("pocket", "ready", ("a-1", "a-2")), HeldModel("own", "loading"))
    figures = {"uptime": 9.0, "idle": 1.0, "leaves_after": 900.0, "rss_mb": 339.04, "busy": 0}
    report = Report(pid=7, version="1", answered=3, models=models, **figures)
    shown = printed(tables.process(report))
    assert "pocket (ready), with a-1, a-2" in shown and "own (loading)" in shown
    assert "339.0" in shown
