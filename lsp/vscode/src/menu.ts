/** "Show Status": what is running, and what can be done about it, in one list. */
import * as vscode from "vscode";

import type { ServerStatus } from "./protocol.js";
import { modelWords, plain } from "./words.js";

interface Entry extends vscode.QuickPickItem {
  readonly command?: string;
  readonly argument?: string;
}

export async function showMenu(status: ServerStatus, running: boolean, neighbours: readonly string[]): Promise<void> {
  const chosen = await vscode.window.showQuickPick(entries(status, running, neighbours), {
    title: `p2assist: ${status.words || status.state}`,
    placeHolder: "What to do",
  });
  if (chosen?.command !== undefined) await vscode.commands.executeCommand(chosen.command, chosen.argument);
}

function entries(status: ServerStatus, running: boolean, neighbours: readonly string[]): Entry[] {
  const tests = status.tests > 0 ? `${status.tests} tests cover this workspace` : "no tests mapped yet";
  const facts: Entry[] = [{ label: `$(beaker) ${plain(modelWords(status))}`, description: tests }];
  if (neighbours.length > 0) {
    facts.push({ label: `$(info) ${neighbours.join(", ")} offers ghost text here too`, description: "only p2assist's own is counted" });
  }
  if (!vscode.workspace.isTrusted) {
    facts.push({ label: "$(shield) The folder is not trusted: completions are untested", command: "workbench.trust.manage" });
  }
  const alive: Entry[] = [
    { label: "$(list-ordered) Show the candidates and their tests", command: "p2assist.alternatives" },
    { label: "$(question) Why this completion?", command: "p2assist.whyThis" },
    status.state === "paused"
      ? { label: "$(debug-start) Resume", command: "p2assist.resumeCompletions" }
      : { label: "$(debug-pause) Pause", command: "p2assist.pauseCompletions" },
    { label: "$(sync) Reload the adapter", command: "p2assist.reloadAdapter" },
  ];
  const line: Entry = { label: "", kind: vscode.QuickPickItemKind.Separator };
  return [
    ...facts,
    line,
    ...(running ? alive : []),
    { label: "$(debug-restart) Restart the language server", command: "p2assist.restart" },
    { label: "$(output) Show output", command: "p2assist.showOutput" },
    { label: "$(gear) Settings", command: "workbench.action.openSettings", argument: "@ext:p2assist.p2assist" },
  ];
}
