/** The options object for a folder, from VS Code's settings, its trust and its interpreter. */
import * as vscode from "vscode";

import type { Interpreters } from "./interpreter.js";
import { readOptions, type ServerOptions } from "./settings.js";

export class Options {
  private told = "";

  constructor(
    private readonly interpreters: Interpreters,
    private readonly output: vscode.LogOutputChannel,
  ) {}

  async read(folder: vscode.WorkspaceFolder | undefined): Promise<ServerOptions> {
    const settings = vscode.workspace.getConfiguration("p2assist", folder);
    const python = await this.interpreters.of(folder);
    const surroundings = { trusted: vscode.workspace.isTrusted, python };
    const { options, problems } = readOptions((key) => settings.get(key), surroundings);
    this.tell(problems);
    return options;
  }

  /** Once for each set of problems, not at each keystroke in settings.json. */
  private tell(problems: readonly string[]): void {
    const words = problems.join(" ");
    if (words === this.told) return;
    this.told = words;
    if (words === "") return;
    this.output.warn(words);
    void vscode.window.showWarningMessage(words);
  }
}
