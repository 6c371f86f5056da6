"""Derived values of candidates, ready to be shown or dumped as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from p2assist.experience import Candidate, Experience, TestReport
from p2assist.generation.serve.messages import Report
from p2assist.learning.refresh import RefreshResult
from p2assist.p2value import P2Settings, ordering, p2value, possibility


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A candidate with what follows from it: all derived, nothing of it is stored."""

    text: str
    possibility: float
    pass_rate: float | None
    p2value: float | None
    report: TestReport | None

    @property
    def evidence(self) -> str:
        return self.report.evidence if self.report else "not tested"

    def to_json(self) -> dict[str, object]:
        report = self.report
        return {
            "text": self.text,
            "possibility": self.possibility,
            "pass_rate": self.pass_rate,
            "p2value": self.p2value,
            "evidence": self.evidence,
            "failing": list(report.failing) if report else [],
        }


def row(candidate: Candidate, report: TestReport | None, settings: P2Settings) -> CandidateRow:
    """One candidate's row."""
    given = float(possibility(candidate.logprob, candidate.num_tokens, settings))
    rate = report.pass_rate if report else None
    value = None if rate is None else float(p2value(given, rate, settings))
    return CandidateRow(candidate.text, given, rate, value, report)


def ranked(
    candidates: Sequence[Candidate],
    reports: Sequence[TestReport | None],
    settings: P2Settings,
) -> list[CandidateRow]:
    """Rows in the order to show them: see p2value.ordering."""
    rows = [row(c, r, settings) for c, r in zip(candidates, reports, strict=True)]
    rates = [np.nan if r.pass_rate is None else r.pass_rate for r in rows]
    return [rows[i] for i in ordering([r.possibility for r in rows], rates, settings)]


def of(experience: Experience, settings: P2Settings) -> CandidateRow:
    """A stored experience's row."""
    return row(experience.candidate, experience.report, settings)


def process(report: Report | None) -> dict[str, object]:
    """The user's model process, for people and for --json; None is one that does not run."""
    if report is None:
        return {"running": False}
    found = asdict(report)
    del found["say"]
    return {"running": True} | found | {"rss_mb": round(report.rss_mb, 1)}


def refreshed(result: RefreshResult) -> dict[str, object]:
    """A refresh's figures: what demo.json and `refresh --json` hold. adapter is the Challenger's,
    promoted or not."""
    decision = result.decision
    return {
        "base": result.champion.summary(),
        "adapter": result.challenger.summary(),
        "held_out_functions": result.champion.functions,
        "champion": result.champion.adapter,
        "challenger": result.adapter.name,
        "promoted": decision.promote,
        "reason": decision.reason,
        "trained": asdict(result.trained)
        | {"adapter": result.adapter.name, "sources": dict(result.data.sources)},
    }
