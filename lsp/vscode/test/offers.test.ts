import assert from "node:assert/strict";
import { test } from "node:test";

import { acceptedLength, candidateId, keepShownFirst, type Offer, Offers } from "../src/offers.js";

const item = (id: string) => ({ insertText: id, command: { command: "p2assist.accepted", arguments: [{ id, uri: "u" }] } });
const start = { line: 1, character: 4 };
const offer = (...ids: string[]): Offer => ({ uri: "u", version: 1, start, end: start, ids, texts: ids });

test("only items with our command have an id", () => {
  assert.equal(candidateId(item("a")), "a");
  assert.equal(candidateId({ insertText: "x" }), undefined);
  assert.equal(candidateId({ insertText: "x", command: { command: "other.accepted", arguments: [{ id: "a" }] } }), undefined);
  assert.equal(candidateId({ insertText: "x", command: { command: "p2assist.accepted", arguments: [7] } }), undefined);
});

test("what is on screen comes first, the others keep their order", () => {
  const order = keepShownFirst([item("best"), item("second"), item("shown")], "shown").map((i) => i.insertText);
  assert.deepEqual(order, ["shown", "best", "second"]);
  assert.deepEqual(keepShownFirst([item("a")], "gone").map((i) => i.insertText), ["a"]);
});

test("how much of an offered text stands in the document", () => {
  assert.equal(acceptedLength("return x + y", "return "), 7);
  assert.equal(acceptedLength("a\nb", "a\r\nb"), 3);
  assert.equal(acceptedLength("return x", "raise"), undefined);
  assert.equal(acceptedLength("'\u{1F600}' + x", "'\u{1F600}'"), 4);
});

test("the shown item survives a second answer, wherever it comes in it", () => {
  const offers = new Offers();
  offers.take(offer("a"));
  offers.take(offer("b", "a", "c"));
  assert.equal(offers.shownId, "a");
  offers.cycle(1);
  assert.equal(offers.shownId, "c");
  offers.cycle(1);
  assert.equal(offers.shownId, "b");
  offers.cycle(-1);
  assert.equal(offers.shownId, "c");
});

test("an empty answer ends the offer, and cycling nothing is nothing", () => {
  const offers = new Offers();
  offers.take(offer("a"));
  offers.take(offer());
  assert.equal(offers.shownId, undefined);
  offers.cycle(1);
  assert.equal(offers.current, undefined);
});
