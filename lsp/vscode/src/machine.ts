/** This machine, as executable.ts wants to see it. */
import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import * as path from "node:path";

import type { Machine } from "./executable.js";

export function thisMachine(): Machine {
  return { windows: process.platform === "win32", searchPath: process.env["PATH"] ?? "", exists: isProgram };
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** `~/x` and `${workspaceFolder}/x`, as people write paths in settings. */
export function expanded(file: string, folder: string | undefined): string {
  const inFolder = folder === undefined ? file : file.replaceAll("${workspaceFolder}", folder);
  return inFolder.startsWith("~/") ? path.join(homedir(), inFolder.slice(2)) : inFolder;
}
