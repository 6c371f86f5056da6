/** The candidates of a place with their evidence, as a list that follows the tests. */
import * as vscode from "vscode";

import type { Candidate } from "./protocol.js";
import { codeLabel, evidenceIcon, evidenceWords, figures, plain, testName } from "./words.js";

export interface Choice extends vscode.QuickPickItem {
  readonly candidate: Candidate;
}

/** What the list can do with a candidate; the list itself changes nothing. */
export interface Actions {
  insert(candidate: Candidate): Promise<void>;
  diff(candidate: Candidate): Promise<void>;
  test(candidate: Candidate): Promise<void>;
  never(candidate: Candidate): Promise<void>;
  /** The list was left without a choice. */
  back(): Promise<void>;
}

interface Button extends vscode.QuickInputButton {
  readonly run: (actions: Actions, candidate: Candidate) => Promise<void>;
  readonly closes: boolean;
}

const BUTTONS: readonly Button[] = [
  { iconPath: new vscode.ThemeIcon("diff"), tooltip: "Show the change", closes: true, run: (a, c) => a.diff(c) },
  { iconPath: new vscode.ThemeIcon("beaker"), tooltip: "Test it now", closes: false, run: (a, c) => a.test(c) },
  { iconPath: new vscode.ThemeIcon("circle-slash"), tooltip: "Never suggest this", closes: true, run: (a, c) => a.never(c) },
];

/**
 * Opens the list. `changed` fires when evidence came in: the words of each line follow it, the
 * order and the chosen line stay as they are under the user's hand.
 */
export function showAlternatives(
  candidates: readonly Candidate[],
  latest: (id: string) => Candidate | undefined,
  changed: vscode.Event<void>,
  actions: Actions,
): void {
  const pick = vscode.window.createQuickPick<Choice>();
  const order = [...candidates].sort((a, b) => a.rank - b.rank);
  const fill = (): void => {
    const active = pick.activeItems[0]?.candidate.id;
    pick.items = order.map((candidate) => choice(latest(candidate.id) ?? candidate));
    if (active !== undefined) pick.activeItems = pick.items.filter(({ candidate }) => candidate.id === active);
  };
  pick.title = "p2assist: candidates, what passes first";
  pick.placeholder = "Enter inserts; the buttons show the change, test it, or never suggest it again";
  pick.matchOnDetail = true;
  pick.keepScrollPosition = true;
  fill();
  const listener = changed(fill);
  let done = false;
  pick.onDidAccept(() => {
    const chosen = pick.selectedItems[0];
    done = true;
    pick.hide();
    if (chosen !== undefined) void actions.insert(chosen.candidate);
  });
  pick.onDidTriggerItemButton(({ button, item }) => {
    const ours = BUTTONS.find((known) => known === button);
    done = ours?.closes === true;
    if (done) pick.hide();
    void ours?.run(actions, item.candidate);
  });
  pick.onDidHide(() => {
    listener.dispose();
    pick.dispose();
    if (!done) void actions.back();
  });
  pick.show();
}

function choice(candidate: Candidate): Choice {
  const { failing } = candidate;
  const all = failing.length > 1 ? `fails ${failing.slice(0, 5).map(testName).join(", ")}` : "";
  return {
    candidate,
    iconPath: new vscode.ThemeIcon(evidenceIcon(candidate)),
    label: plain(codeLabel(candidate.text)),
    description: plain(evidenceWords(candidate)),
    detail: plain([figures(candidate), all].filter(Boolean).join(" · ")),
    alwaysShow: true,
    buttons: [...BUTTONS],
  };
}
