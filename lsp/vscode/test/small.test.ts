import assert from "node:assert/strict";
import { test } from "node:test";

import { EvidenceBook } from "../src/evidence.js";
import { neighbours } from "../src/neighbours.js";
import type { Candidate } from "../src/protocol.js";
import { Restarts } from "../src/restarts.js";

test("a server that keeps dying is started more and more slowly, then not at all", () => {
  const restarts = new Restarts(3, 1000, 10);
  assert.deepEqual([restarts.next(0), restarts.next(1), restarts.next(2), restarts.next(3)], [10, 20, 40, undefined]);
  assert.equal(restarts.next(5000), 10);
});

test("neighbours are named once, in any case", () => {
  assert.deepEqual(neighbours(["GitHub.copilot", "github.copilot-chat", "ms-python.python"]), ["Copilot"]);
});

test("the book holds the last list of each document, and amends one candidate", () => {
  const candidate: Candidate = {
    id: "a", text: "", rank: 0, possibility: 0.5, passRate: null, p2value: null,
    passed: 0, total: 0, failing: [], evidence: "", state: "waiting",
  };
  const book = new EvidenceBook();
  book.take({ uri: "u", version: 1, candidates: [candidate, { ...candidate, id: "b" }] });
  book.amend({ ...candidate, state: "tested", passed: 2, total: 2 });
  assert.deepEqual(book.of("u").map(({ id, passed }) => [id, passed]), [["a", 2], ["b", 0]]);
  book.take({ uri: "u", version: 2, candidates: [{ ...candidate, id: "c" }] });
  assert.equal(book.candidate("a")?.passed, 2);
  assert.deepEqual(book.of("u").map(({ id }) => id), ["c"]);
  assert.equal(book.candidate(undefined), undefined);
  book.forget("u");
  assert.deepEqual(book.of("u"), []);
});
