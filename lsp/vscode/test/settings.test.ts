import assert from "node:assert/strict";
import { test } from "node:test";

import manifest from "../package.json";
import { type Getter, readOptions } from "../src/settings.js";

const nowhere = { trusted: false, python: "" };
const from = (values: Record<string, unknown>): Getter => (key) => values[key];

interface Property {
  readonly default: unknown;
  readonly scope: string;
  readonly description?: string;
  readonly markdownDescription?: string;
}

function properties(): [string, Property][] {
  return manifest.contributes.configuration.flatMap((page) => Object.entries(page.properties as Record<string, Property>));
}

test("nothing set gives the defaults of the protocol", () => {
  const { options, problems } = readOptions(() => undefined, nowhere);
  assert.deepEqual(problems, []);
  assert.equal(options.beams, 8);
  assert.equal(options.show, "at once");
  assert.deepEqual(options.debounce, { least: 25, most: 350 });
});

test("the manifest's defaults are the ones that are read", () => {
  const defaults = Object.fromEntries(properties().map(([key, { default: value }]) => [key.replace("p2assist.", ""), value]));
  const { options, problems } = readOptions(from(defaults), nowhere);
  assert.deepEqual(problems, []);
  assert.deepEqual(options, readOptions(() => undefined, nowhere).options);
});

test("a bad value is named, and its default holds", () => {
  const { options, problems } = readOptions(from({ beams: 0, show: "never", exclude: "x", inStrings: 1 }), nowhere);
  assert.equal(problems.length, 4);
  assert.match(problems[0] ?? "", /p2assist\.beams is 0, not a whole number from 1 to 32: 8 holds/);
  assert.equal(options.beams, 8);
  assert.equal(options.show, "at once");
  assert.deepEqual(options.exclude, []);
  assert.equal(options.inStrings, true);
});

test("the shortest pause is never above the longest", () => {
  const { options, problems } = readOptions(from({ "debounce.least": 500, "debounce.most": 100 }), nowhere);
  assert.deepEqual(options.debounce, { least: 100, most: 100 });
  assert.equal(problems.length, 1);
});

test("trust and interpreter come from outside alone", () => {
  const { options } = readOptions(from({ trusted: true, python: "/evil" }), nowhere);
  assert.equal(options.trusted, false);
  assert.equal(options.python, "");
});

test("a workspace cannot choose a program that runs at once", () => {
  for (const [key, { scope }] of properties()) {
    if (key === "p2assist.path" || key.startsWith("p2assist.install.")) assert.equal(scope, "machine", key);
  }
  assert.ok(manifest.capabilities.untrustedWorkspaces.restrictedConfigurations.includes("p2assist.python"));
});

test("every setting says what it does", () => {
  for (const [key, { description, markdownDescription }] of properties()) {
    assert.ok((description ?? markdownDescription ?? "").length > 20, key);
  }
});
