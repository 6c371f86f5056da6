/** The status bar: model and adapter, a click opens the menu; the last evidence, a click lists the candidates. */
import * as vscode from "vscode";

import type { Candidate, ServerStatus } from "./protocol.js";
import { barText, evidenceColour, evidenceText, evidenceWords, figures, modelWords, plain, testName } from "./words.js";

export class StatusBar implements vscode.Disposable {
  private readonly status = entry("p2assist.status", "p2assist", 90);
  private readonly evidence = entry("p2assist.evidence", "p2assist: evidence", 89);

  constructor() {
    this.status.show();
    this.evidence.command = "p2assist.alternatives";
  }

  update(status: ServerStatus, shown: Candidate | undefined, neighbours: readonly string[]): void {
    this.status.text = barText(status);
    this.status.command = "p2assist.showStatus";
    this.status.tooltip = statusTooltip(status, neighbours);
    this.status.backgroundColor = background(status.state === "failed" ? "error" : undefined);
    if (shown === undefined || status.state === "failed") {
      this.evidence.hide();
      return;
    }
    this.evidence.text = evidenceText(shown);
    this.evidence.tooltip = evidenceTooltip(shown);
    const colour = evidenceColour(shown);
    this.evidence.color = colour === undefined ? undefined : new vscode.ThemeColor(colour);
    this.evidence.show();
  }

  /** No executable: the click makes the environment. */
  askForSetUp(): void {
    this.evidence.hide();
    this.status.text = "$(beaker) p2assist: set up";
    this.status.tooltip = "p2assist is not installed yet: click to make its environment";
    this.status.backgroundColor = background("warning");
    this.status.command = "p2assist.makeEnvironment";
  }

  dispose(): void {
    this.status.dispose();
    this.evidence.dispose();
  }
}

function entry(id: string, name: string, priority: number): vscode.StatusBarItem {
  const item = vscode.window.createStatusBarItem(id, vscode.StatusBarAlignment.Right, priority);
  item.name = name;
  return item;
}

function background(kind: "error" | "warning" | undefined): vscode.ThemeColor | undefined {
  return kind === undefined ? undefined : new vscode.ThemeColor(`statusBarItem.${kind}Background`);
}

function statusTooltip(status: ServerStatus, neighbours: readonly string[]): vscode.MarkdownString {
  const text = new vscode.MarkdownString(undefined, true);
  text.isTrusted = { enabledCommands: ["workbench.trust.manage"] };
  const tests = status.tests > 0 ? `${status.tests} tests cover this workspace` : "no tests mapped yet";
  text.appendMarkdown(`**p2assist** · ${escaped(status.words || status.state)}\n\n`);
  text.appendMarkdown(`$(beaker) ${escaped(modelWords(status))}  \n$(checklist) ${tests}\n\n`);
  if (status.state === "untrusted") {
    text.appendMarkdown("Nothing of this folder runs. [Manage trust](command:workbench.trust.manage)\n\n");
  }
  if (neighbours.length > 0) {
    text.appendMarkdown(`${neighbours.join(", ")} offers ghost text here too. Only p2assist's own is counted.`);
  }
  return text;
}

function evidenceTooltip(shown: Candidate): vscode.MarkdownString {
  const text = new vscode.MarkdownString(undefined, true);
  text.isTrusted = { enabledCommands: ["p2assist.alternatives", "p2assist.whyThis"] };
  text.appendMarkdown(`${evidenceText(shown).split(" ")[0] ?? ""} **${escaped(evidenceWords(shown))}**\n\n`);
  text.appendMarkdown(`${figures(shown)}\n\n`);
  for (const node of shown.failing.slice(0, 5)) text.appendMarkdown(`- fails ${escaped(testName(node))}\n`);
  text.appendMarkdown("\n[Candidates](command:p2assist.alternatives) · [Why this?](command:p2assist.whyThis)");
  return text;
}

/** Names come from the repository: in a tooltip that may run commands they stay text. */
function escaped(text: string): string {
  return plain(text).replace(/[\\`*_{}[\]()#+\-.!|<>~]/g, "\\$&");
}
