import assert from "node:assert/strict";
import { test } from "node:test";

import type { Candidate, ServerStatus } from "../src/protocol.js";
import { barText, codeLabel, evidenceIcon, evidenceText, evidenceWords, figures, passes, plain, testName } from "../src/words.js";

const candidate: Candidate = {
  id: "a", text: "return x", rank: 0, possibility: 0.6, passRate: 1, p2value: 0.8,
  passed: 7, total: 7, failing: [], evidence: "7/7 covering tests", state: "tested",
};
const ready: ServerStatus = { folder: "", state: "ready", words: "ready", model: "pocket", adapter: "2026-11-24-3a8ff1", tests: 33 };

test("evidence in words", () => {
  const of = (changes: Partial<Candidate>): string => evidenceWords({ ...candidate, ...changes });
  assert.equal(of({}), "7/7 covering tests");
  assert.equal(of({ passed: 6, failing: ["tests/test_a.py::test_total"] }), "fails test_total");
  assert.equal(of({ passed: 5, failing: ["a.py::test_total", "a.py::test_b"] }), "fails test_total and 1 more");
  assert.equal(of({ state: "untested", total: 0, passed: 0, evidence: "" }), "no covering test");
  assert.equal(of({ state: "tested", total: 0, passed: 0 }), "no covering test");
  assert.equal(of({ state: "waiting", passRate: null }), "tests to come");
});

test("what no test covers never passes", () => {
  assert.equal(passes({ ...candidate, total: 0, passed: 0 }), false);
  assert.equal(passes({ ...candidate, state: "untested" }), false);
  assert.equal(evidenceIcon({ ...candidate, state: "untested", total: 0, passed: 0 }), "question");
  assert.equal(evidenceIcon(candidate), "pass-filled");
});

test("a test's name is the last part of its node id", () => {
  assert.equal(testName("tests/test_a.py::TestX::test_y[a::b]"), "test_y[a::b]");
  assert.equal(testName("tests/test_a.py"), "tests/test_a.py");
});

test("figures leave out what is unknown", () => {
  assert.equal(figures(candidate), "possibility 0.60 · pass rate 1.00 · P2Value 0.80");
  assert.equal(figures({ ...candidate, passRate: null, p2value: null }), "possibility 0.60");
});

test("the bar: model, adapter and the last evidence", () => {
  assert.equal(barText(ready), "$(beaker) pocket + 2026-11-24-3a8ff1");
  assert.equal(evidenceText(candidate), "$(pass-filled) 7/7 covering tests");
  assert.equal(barText({ ...ready, adapter: "" }), "$(beaker) pocket");
  assert.equal(barText({ ...ready, state: "loading", words: "loading the model" }), "$(loading~spin) pocket + 2026-11-24-3a8ff1: loading the model");
  assert.match(barText({ ...ready, state: "untrusted" }), /pocket \+ 2026-11-24-3a8ff1: folder not trusted$/);
});

test("code stays code in a label", () => {
  assert.equal(codeLabel("  return 1\n"), "return 1");
  assert.equal(codeLabel("if x:\n    return 1"), "if x: ⏎ return 1");
  assert.equal(codeLabel("x".repeat(200)).length, 90);
  assert.equal(plain("print($(error))").includes("$("), false);
});
