/** The status bar: model, adapter and the last evidence; a click opens the menu. */
import * as vscode from "vscode";

import type { Candidate, ServerStatus } from "./protocol.js";
import { barText, evidenceWords, figures, modelWords, plain, testName } from "./words.js";

export interface Surroundings {
  readonly neighbours: readonly string[];
}

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("p2assist.status", vscode.StatusBarAlignment.Right, 90);

  constructor() {
    this.item.name = "p2assist";
    this.item.command = "p2assist.showStatus";
    this.item.show();
  }

  update(status: ServerStatus, shown: Candidate | undefined, surroundings: Surroundings): void {
    this.item.text = barText(status, shown);
    this.item.tooltip = tooltip(status, shown, surroundings);
    this.item.backgroundColor =
      status.state === "failed" ? new vscode.ThemeColor("statusBarItem.errorBackground") : undefined;
    this.item.accessibilityInformation = { label: `p2assist, ${spoken(status, shown)}`, role: "button" };
  }

  /** No executable: the click makes the environment. */
  askForSetUp(): void {
    this.item.text = "$(beaker) p2assist: set up";
    this.item.tooltip = "p2assist is not installed yet: click to make its environment";
    this.item.backgroundColor = new vscode.ThemeColor("statusBarItem.warningBackground");
    this.item.command = "p2assist.makeEnvironment";
  }

  ready(): void {
    this.item.command = "p2assist.showStatus";
    this.item.backgroundColor = undefined;
  }

  dispose(): void {
    this.item.dispose();
  }
}

function spoken(status: ServerStatus, shown: Candidate | undefined): string {
  return shown === undefined ? status.words || status.state : evidenceWords(shown);
}

function tooltip(status: ServerStatus, shown: Candidate | undefined, { neighbours }: Surroundings): vscode.MarkdownString {
  const text = new vscode.MarkdownString(undefined, true);
  text.isTrusted = { enabledCommands: ["p2assist.alternatives", "p2assist.whyThis", "workbench.trust.manage"] };
  text.appendMarkdown(`**p2assist** · ${status.words || status.state}\n\n`);
  const tests = status.tests > 0 ? `${status.tests} tests cover this workspace` : "not mapped yet";
  text.appendMarkdown(`| | |\n|---|---|\n| model | ${escaped(modelWords(status))} |\n| tests | ${tests} |\n`);
  if (shown !== undefined) {
    text.appendMarkdown(`| evidence | ${escaped(evidenceWords(shown))} |\n| | ${figures(shown)} |\n`);
    for (const node of shown.failing.slice(0, 5)) text.appendMarkdown(`| fails | ${escaped(testName(node))} |\n`);
    text.appendMarkdown("\n[Candidates](command:p2assist.alternatives) · [Why this?](command:p2assist.whyThis)");
  }
  if (status.state === "untrusted") text.appendMarkdown("\n[Manage the folder's trust](command:workbench.trust.manage)");
  if (neighbours.length > 0) {
    text.appendMarkdown(`\n\n${neighbours.join(", ")} offers ghost text here too. Only p2assist's own is counted.`);
  }
  return text;
}

/** Names come from the repository: in a table of a trusted tooltip they stay text. */
function escaped(text: string): string {
  return plain(text).replace(/[\\`*_{}[\]()#+\-.!|<>~]/g, "\\$&");
}
