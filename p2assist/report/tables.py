"""rich tables. Each takes values of the vocabulary and returns something to print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from p2assist.experience import Experience, TestReport
from p2assist.generation.serve.messages import HeldModel, Report
from p2assist.learning.refresh import RefreshResult
from p2assist.report import records

SHOWN_TESTS = 3  # failing tests named in a row before "and n more"


def candidates(rows: Sequence[records.CandidateRow], *, tested: bool) -> RenderableType:
    """Candidates in the order to show them, the code highlighted."""
    table = _table("", "code", right=("possibility", "pass rate", "P2Value"))
    if tested:
        table.add_column("evidence")
    for number, row in enumerate(rows, 1):
        code = Syntax(row.text or "(nothing)", "python", background_color="default", word_wrap=True)
        cells: list[RenderableType] = [str(number), code, f"{row.possibility:.3f}"]
        cells += [_rate(row.pass_rate), "-" if row.p2value is None else f"{row.p2value:.3f}"]
        if tested:
            cells.append(_evidence(row.report))
        _add(table, *cells)
    return table


def experiences(rows: Iterable[tuple[Experience, records.CandidateRow]]) -> RenderableType:
    """Stored experiences, a line each."""
    table = _table("key", "place", "source", "text", right=("possibility", "pass rate"))
    for experience, row in rows:
        task = experience.task
        first = experience.candidate.text.partition("\n")
        _add(
            table,
            experience.key[:10],
            f"{task.path}:{task.line} {task.function}",
            str(experience.source),
            Text(first[0][:60] + (" ..." if first[1] else ""), no_wrap=True),
            f"{row.possibility:.3f}",
            _rate(row.pass_rate),
        )
    return table


def experience(one: Experience, row: records.CandidateRow) -> RenderableType:
    """One experience whole: the place, the code around it, every test's outcome, feedback."""
    task = one.task
    above = task.prefix.split("\n")[-6:]
    below = task.suffix.split("\n")[:4]
    code = "\n".join(above) + one.candidate.text + "\n".join(below)
    first = task.line - len(above) + 1
    tests = _table("test", "outcome", "message")
    for outcome in one.report.outcomes if one.report else ():
        _add(tests, outcome.node_id, _outcome(outcome.outcome), outcome.message)
    said = Text("\n".join(f"{f.at:%Y-%m-%d %H:%M} {f.kind}" for f in one.feedback))
    head = pairs(
        {
            "key": one.key,
            "place": f"{task.path}:{task.line} {task.function} ({task.kind})",
            "source": str(one.source),
            "model": one.candidate.model + (f" + {a}" if (a := one.candidate.adapter) else ""),
            "created": f"{one.created:%Y-%m-%d %H:%M} UTC",
            "possibility": f"{row.possibility:.4f}",
            "P2Value": "-" if row.p2value is None else f"{row.p2value:.4f}",
            "evidence": row.evidence,
        }
    )
    syntax = Syntax(code, "python", line_numbers=True, start_line=max(1, first))
    return Group(head, syntax, tests, said)


def pairs(values: Mapping[str, object]) -> RenderableType:
    """Names and values, one pair a line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in values.items():
        shown = f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value)
        _add(table, name, shown)
    return table


def process(report: Report | None) -> RenderableType:
    """The user's model process, one thing a line; None is one that does not run."""
    found = records.process(report)
    if report is not None:
        found["models"] = "\n".join(map(_held, report.models)) or "none"
    return pairs(found)


def _held(model: HeldModel) -> str:
    adapters = f", with {', '.join(model.adapters)}" if model.adapters else ""
    return f"{model.model} ({model.state}){adapters}"


def refreshed(result: RefreshResult) -> RenderableType:
    """Before and after on the held-out functions, and the gate's decision in words."""
    before, after = result.champion.summary(), result.challenger.summary()
    k = result.champion.k
    title = f"{before['tasks']} tasks of {before['functions']} functions held out from training"
    table = _table(title, right=(result.champion.adapter or "base", result.adapter.name))
    for name, key in (
        ("pass@1", "pass_at_1"),
        (f"pass@{k}", f"pass_at_{k}"),
        ("samples to the first full pass", "samples_to_pass"),
        ("mean pass rate", "mean_pass_rate"),
    ):
        _add(table, name, _number(before[key]), _number(after[key]))
    verdict = "promoted" if result.decision.promote else "not promoted"
    style = "green" if result.decision.promote else "yellow"
    return Group(table, Text(f"{verdict}: {result.decision.reason}", style=style))


def adapters(rows: Iterable[Mapping[str, object]]) -> RenderableType:
    """Adapters, oldest first; the Champion has a star."""
    table = _table("", "name", "base model", "created", "note")
    for row in rows:
        star = "*" if row["champion"] else ""
        _add(table, star, *(str(row.get(key, "")) for key in ("name", "model", "created", "note")))
    return table


def checks(rows: Iterable[tuple[str, bool, str, str]]) -> RenderableType:
    """What doctor found: name, whether it holds, detail, remedy."""
    table = _table("", "check", "detail", "what to do")
    for name, ok, detail, remedy in rows:
        mark = Text("ok", style="green") if ok else Text("no", style="bold red")
        _add(table, mark, name, detail, "" if ok else remedy)
    return table


def _add(table: Table, *cells: RenderableType) -> None:
    """A row of cells; in plain strings nothing is markup: `test[a]` is a test's name."""
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in columns:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _rate(rate: float | None) -> Text:
    if rate is None:
        return Text("untested", style="dim")
    style = "green" if rate == 1 else "red" if rate == 0 else "yellow"
    return Text(f"{rate:.2f}", style=style)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _outcome(outcome: str) -> Text:
    return Text(outcome, style="green" if outcome == "passed" else "red")


def _evidence(report: TestReport | None) -> Text:
    if report is None:
        return Text("not tested", style="dim")
    if not report.total or report.passes_all:
        return Text(report.evidence, style="green" if report.passes_all else "dim")
    names = [name.rpartition("::")[2] for name in report.failing]
    more = f" and {len(names) - SHOWN_TESTS} more" if len(names) > SHOWN_TESTS else ""
    failing = ", ".join(names[:SHOWN_TESTS]) + more
    return Text(f"{report.evidence}; fails {failing}", style="yellow" if report.passed else "red")
