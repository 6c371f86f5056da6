"""Evidence in Markdown: the hover, the list of alternatives, and "Why this completion?"."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from p2assist.p2value import P2Settings
from p2assist_lsp.offers import Choice, Offer, told

_TESTS = 5  # failing tests that are named
_HEAD = "| | candidate | possibility | pass rate | P2Value | evidence |"


def evidence(choice: Choice) -> str:
    """A candidate's evidence, and where it fails the tests' own words."""
    lines = [f"p2assist: {choice.evidence}"]
    report = choice.report
    if report and report.total and report.reason:
        lines.append(f"- {_escaped(report.reason)}")
    if report:
        broken = [o for o in report.outcomes if o.node_id in report.failing]
        for outcome in broken[:_TESTS]:
            first = outcome.message.strip().partition("\n")[0][:200]
            lines.append(
                f"- `{outcome.node_id}` {outcome.outcome.value} {_escaped(first)}".rstrip()
            )
        if len(broken) > _TESTS:
            lines.append(f"- and {len(broken) - _TESTS} more")
    return "\n".join(lines)


def why(offer: Offer, settings: P2Settings) -> str:
    """All candidates of an offer, best first."""
    ranked = offer.ranked(settings)
    rows = [
        "| | candidate | possibility | pass rate | P2Value | evidence |",
        "|---|---|---|---|---|---|",
    ]
    for rank, choice in enumerate(ranked):
        entry = told(choice, rank, settings)
        cells = (
            str(rank + 1),
            f"`{_cell(choice.text)}`",
            f"{entry['possibility']:.3f}",
            _number(entry["passRate"]),
            _number(entry["p2value"]),
            _cell(choice.evidence),
        )
        rows.append("| " + " | ".join(cells) + " |")
    parts = [f"### {offer.task.path}:{offer.task.line}", "\n".join(rows)]
    parts += [evidence(choice) for choice in ranked if choice.fails]
    if len(ranked) > 1:
        parts.append("```diff\n" + _diff(ranked) + "\n```")
    return "\n\n".join(parts)


def _diff(ranked: Sequence[Choice]) -> str:
    """Each of the others against the best."""
    best = ranked[0].text.splitlines()
    found: list[str] = []
    for rank, choice in enumerate(ranked[1:], 2):
        lines = difflib.unified_diff(best, choice.text.splitlines(), "1", str(rank), lineterm="")
        found.extend(lines)
    return "\n".join(found)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _cell(text: str) -> str:
    first, more, _ = text.partition("\n")
    return _escaped(first[:80]) + (" ..." if more else "")


def _escaped(text: str) -> str:
    return text.replace("`", "'").replace("|", "\\|")
