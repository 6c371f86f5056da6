import assert from "node:assert/strict";
import { test } from "node:test";

import { cleanEnvironment, findExecutable, findOnPath } from "../src/executable.js";

const machine = (files: string[], searchPath = "/usr/bin:/home/me/.local/bin") => ({
  windows: false, searchPath, exists: (file: string) => files.includes(file),
});

test("the setting, then the environment of our own, then PATH", () => {
  const all = machine(["/set/p2assist", "/own/bin/p2assist", "/home/me/.local/bin/p2assist"]);
  assert.deepEqual(findExecutable("/set/p2assist", "/own", all), { file: "/set/p2assist", origin: "setting" });
  assert.equal(findExecutable("", "/own", all)?.origin, "own environment");
  assert.equal(findExecutable("", "/none", all)?.file, "/home/me/.local/bin/p2assist");
});

test("a setting that names nothing is not papered over", () => {
  assert.equal(findExecutable("/gone", "/own", machine(["/own/bin/p2assist"])), undefined);
});

test("a relative entry of PATH could be the opened folder's", () => {
  assert.equal(findOnPath("p2assist", machine(["bin/p2assist", "./p2assist"], "bin:.:")), undefined);
});

test("Windows has Scripts and .exe", () => {
  const windows = { windows: true, searchPath: "C:\\Tools", exists: (file: string) => file === "C:\\own\\Scripts\\p2assist.exe" };
  assert.equal(findExecutable("", "C:\\own", windows)?.file, "C:\\own\\Scripts\\p2assist.exe");
});

test("nothing points the server's Python at other packages", () => {
  assert.deepEqual(cleanEnvironment({ PYTHONPATH: "x", VIRTUAL_ENV: "y", HOME: "h" }), { HOME: "h" });
});
