/** How statuses and evidence are put to people. Pure: text in, text out. */
import type { Candidate, ServerState, ServerStatus } from "./protocol.js";

const STATE_ICON: Record<ServerState, string> = {
  starting: "loading~spin",
  loading: "loading~spin",
  indexing: "loading~spin",
  ready: "beaker",
  paused: "debug-pause",
  untrusted: "shield",
  refreshing: "sync~spin",
  failed: "error",
};

/** A theme's colour for it, only where tests have spoken. */
export function evidenceColour(candidate: Candidate): string | undefined {
  if (candidate.state !== "tested" || candidate.total === 0) return undefined;
  return passes(candidate) ? "charts.green" : "charts.red";
}

/** The icon of a candidate's evidence: it passes all, fails some, is being tested, or nobody knows. */
export function evidenceIcon(candidate: Candidate): string {
  switch (candidate.state) {
    case "waiting":
      return "circle-outline";
    case "testing":
      return "loading~spin";
    case "refused":
      return "circle-slash";
    case "untested":
      return "question";
    case "tested":
      return passes(candidate) ? "pass-filled" : "error";
  }
}

/** A candidate that no test covers is untested: it never counts as passing. */
export function passes(candidate: Candidate): boolean {
  return candidate.state === "tested" && candidate.total > 0 && candidate.passed === candidate.total;
}

/** "7/7 covering tests", "fails test_total", "no covering test". */
export function evidenceWords(candidate: Candidate): string {
  switch (candidate.state) {
    case "waiting":
      return "tests to come";
    case "testing":
      return "testing";
    case "refused":
      return candidate.evidence || "may not run";
    case "untested":
      return candidate.evidence || "no covering test";
    case "tested":
      if (candidate.total === 0) return "no covering test";
      return passes(candidate) ? `${candidate.passed}/${candidate.total} covering tests` : failingWords(candidate);
  }
}

function failingWords(candidate: Candidate): string {
  const [first, ...others] = candidate.failing;
  if (first === undefined) return `${candidate.passed}/${candidate.total} covering tests`;
  const more = others.length > 0 ? ` and ${others.length} more` : "";
  return `fails ${testName(first)}${more}`;
}

/** The last part of a pytest node id: `tests/test_a.py::TestX::test_y[1]` is `test_y[1]`. */
export function testName(nodeId: string): string {
  const parameters = nodeId.indexOf("[");
  const end = parameters < 0 ? nodeId.length : parameters;
  const start = nodeId.lastIndexOf("::", end);
  return start < 0 ? nodeId : nodeId.slice(start + 2);
}

/** "possibility 0.60, P2Value 0.80": what the model gives it, and both together. */
export function figures(candidate: Candidate): string {
  const parts = [`possibility ${candidate.possibility.toFixed(2)}`];
  if (candidate.passRate !== null) parts.push(`pass rate ${candidate.passRate.toFixed(2)}`);
  if (candidate.p2value !== null) parts.push(`P2Value ${candidate.p2value.toFixed(2)}`);
  return parts.join(" · ");
}

/** "pocket + 2026-11-24-3a8ff1": the model and, where there is one, its adapter. */
export function modelWords(status: ServerStatus): string {
  if (status.model === "") return "p2assist";
  return status.adapter === "" ? status.model : `${status.model} + ${status.adapter}`;
}

/** The status bar's first entry: who completes, and what it is busy with. */
export function barText(status: ServerStatus): string {
  const head = `$(${STATE_ICON[status.state]}) ${modelWords(status)}`;
  if (status.state === "untrusted") return `${head}: folder not trusted`;
  if (status.state !== "ready" && status.state !== "refreshing") return `${head}: ${status.words || status.state}`;
  return head;
}

/** The status bar's second entry: the evidence of the completion that is shown. */
export function evidenceText(shown: Candidate): string {
  return `$(${evidenceIcon(shown)}) ${plain(evidenceWords(shown))}`;
}

const LABEL = 90;

/** A candidate in one line of a list: what tells two of them apart is often not in the first. */
export function codeLabel(text: string): string {
  const lines = text.trim().split(/\r?\n/).map((line) => line.trim());
  const joined = lines.filter((line) => line !== "").join(" \u23ce ");
  return joined.length > LABEL ? `${joined.slice(0, LABEL - 1)}\u2026` : joined;
}

/** VS Code draws `$(name)` in labels as an icon; code must stay code. */
export function plain(text: string): string {
  return text.replaceAll("$(", "$\u200b(");
}
