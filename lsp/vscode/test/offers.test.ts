import assert from "node:assert/strict";
import { test } from "node:test";

import { candidateId, keepShownFirst, type Offer, Offers } from "../src/offers.js";

const item = (id: string) => ({ insertText: id, command: { command: "p2assist.accepted", arguments: [{ id, uri: "u" }] } });
const start = { line: 1, character: 4 };
const offer = (...ids: string[]): Offer => ({ uri: "u", version: 1, start, end: start, ids, texts: ids, invoked: ids.length > 1 });

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

test("cycling waits for the answer that holds all candidates", () => {
  const offers = new Offers();
  offers.take(offer("a"));
  offers.cycle(1);
  assert.equal(offers.shownId, "a");
  offers.take(offer("a", "b", "c"));
  assert.equal(offers.shownId, "b");
  offers.cycle(1);
  offers.cycle(1);
  assert.equal(offers.shownId, "a");
  offers.cycle(-1);
  assert.equal(offers.shownId, "c");
});

test("what is shown is known again by its text, though its id is new", () => {
  const offers = new Offers();
  offers.take(offer("a"));
  offers.take({ ...offer("b", "a"), ids: ["7", "8"] });
  assert.equal(offers.shownId, "8");
  offers.take({ ...offer("x", "a"), version: 2 });
  assert.equal(offers.shownId, "x");
});

test("an empty answer ends the offer, and cycling nothing is nothing", () => {
  const offers = new Offers();
  offers.take(offer("a"));
  offers.take(offer());
  assert.equal(offers.shownId, undefined);
  offers.cycle(1);
  assert.equal(offers.current, undefined);
});
