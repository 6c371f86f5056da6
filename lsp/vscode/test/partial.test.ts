import assert from "node:assert/strict";
import { test } from "node:test";

import { PartialAccept } from "../src/partial.js";

test("the rest under another id is the same candidate; lengths add up in UTF-16 units", () => {
  const partial = new PartialAccept();
  assert.equal(partial.begin("7", 'return "\u{1F600}" + x'), "7");
  assert.equal(partial.inserted("return "), 7);
  assert.equal(partial.begin("8", '"\u{1F600}" + x'), "7");
  assert.equal(partial.inserted('"\u{1F600}"'), 11);
  assert.equal(partial.begin("9", " + y"), "9");
  assert.equal(partial.inserted(" +"), 2);
});

test("line ends of the document do not count twice", () => {
  const partial = new PartialAccept();
  partial.begin("a", "(a):\n    return a");
  assert.equal(partial.inserted("(a):\r\n    return"), 15);
});

test("what is not the next part is somebody else's", () => {
  const partial = new PartialAccept();
  partial.begin("a", "return x");
  assert.equal(partial.inserted("raise"), undefined);
  assert.equal(partial.inserted("return"), undefined);
});
