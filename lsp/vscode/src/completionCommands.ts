/** The commands about the completion on screen: they delegate to VS Code's own, and tell the server. */
import * as vscode from "vscode";

import { type Actions, showAlternatives } from "./alternatives.js";
import type { Client } from "./client.js";
import type { EvidenceBook } from "./evidence.js";
import type { Ghost } from "./ghost.js";
import { PartialAccept } from "./partial.js";
import type { Previews } from "./preview.js";
import { type Candidate, ServerCommand, type Why } from "./protocol.js";
import { evidenceWords } from "./words.js";

export class CompletionCommands {
  private readonly partial = new PartialAccept();

  constructor(
    private readonly client: Client,
    private readonly ghost: Ghost,
    private readonly book: EvidenceBook,
    private readonly previews: Previews,
    private readonly changed: vscode.EventEmitter<void>,
  ) {}

  /** By command id, as package.json names them. */
  all(): Record<string, () => Promise<void>> {
    return {
      "p2assist.trigger": () => this.trigger(),
      "p2assist.next": () => this.cycle("editor.action.inlineSuggest.showNext", 1),
      "p2assist.previous": () => this.cycle("editor.action.inlineSuggest.showPrevious", -1),
      "p2assist.acceptWord": () => this.acceptPart("editor.action.inlineSuggest.acceptNextWord"),
      "p2assist.acceptLine": () => this.acceptPart("editor.action.inlineSuggest.acceptNextLine"),
      "p2assist.reject": () => this.reject(),
      "p2assist.alternatives": () => this.alternatives(),
      "p2assist.whyThis": () => this.why(),
      "p2assist.testThis": () => this.testShown(),
      "p2assist.neverThis": () => this.neverShown(),
    };
  }

  /** Asked for afresh: what was on screen has no place of its own in the order. */
  private async trigger(): Promise<void> {
    this.ghost.end();
    await vscode.commands.executeCommand("editor.action.inlineSuggest.trigger");
  }

  private async cycle(command: string, by: number): Promise<void> {
    this.ghost.cycle(by);
    await vscode.commands.executeCommand(command);
  }

  /** VS Code inserts the next word or line; how much of the candidate then stands there is told. */
  private async acceptPart(command: string): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    const { shownId, shownText, current } = this.ghost.offers;
    if (editor === undefined || shownId === undefined || shownText === undefined || current === undefined) {
      await vscode.commands.executeCommand(command);
      return;
    }
    const id = this.partial.begin(shownId, shownText);
    const part = await insertedBy(editor, command);
    const acceptedLength = this.partial.inserted(part);
    // The last part is an accept, and told as one.
    if (acceptedLength === undefined || this.ghost.acceptedId === id) return;
    await this.client.execute(ServerCommand.partiallyAccepted, { id, uri: current.uri, acceptedLength });
  }

  private async reject(): Promise<void> {
    const id = this.ghost.offers.shownId;
    const uri = this.ghost.offers.current?.uri;
    await vscode.commands.executeCommand("editor.action.inlineSuggest.hide");
    this.ghost.end();
    if (id !== undefined) await this.client.execute(ServerCommand.rejected, { id, uri });
  }

  private async alternatives(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (editor === undefined) return;
    const uri = editor.document.uri.toString();
    const listed = this.book.of(uri);
    const known = listed.length > 0 ? listed : (await this.ask(editor)).candidates;
    if (known.length === 0) {
      void vscode.window.showInformationMessage("p2assist has no candidates here yet: type, or ask with Alt+\\.");
      return;
    }
    const latest = (id: string): Candidate | undefined => this.book.candidate(id);
    showAlternatives(known, latest, this.changed.event, this.actions(editor));
  }

  private actions(editor: vscode.TextEditor): Actions {
    const { document } = editor;
    const offer = this.ghost.offers.current;
    const { version } = document;
    /** Of a candidate, as long as the text is the one that it was made for. */
    const edit = (candidate: Candidate): vscode.TextEdit | undefined => {
      const here = offer !== undefined && this.ghost.offers.isAt(document.uri.toString(), version);
      if (here && document.version === version) return this.ghost.edit(offer, candidate);
      void vscode.window.showInformationMessage("The text has changed since these candidates were made: ask again.");
      return undefined;
    };
    return {
      insert: (candidate) => this.insert(editor, edit(candidate), candidate),
      diff: async (candidate) => {
        const change = edit(candidate);
        const name = document.uri.path.split("/").at(-1) ?? "";
        if (change) await this.previews.diff(document, change, `${name}: ${evidenceWords(candidate)}`);
      },
      test: (candidate) => this.test(candidate.id),
      never: (candidate) => this.never(candidate.id),
      // VS Code took the ghost text away when the list opened.
      back: async () => {
        if (offer !== undefined) await vscode.commands.executeCommand("editor.action.inlineSuggest.trigger");
      },
    };
  }

  private async insert(
    { document, viewColumn }: vscode.TextEditor,
    change: vscode.TextEdit | undefined,
    candidate: Candidate,
  ): Promise<void> {
    if (change === undefined) return;
    const editor = await vscode.window.showTextDocument(document, viewColumn);
    const start = document.offsetAt(change.range.start);
    await editor.edit((edit) => {
      edit.replace(change.range, change.newText);
    });
    const unix = document.eol === vscode.EndOfLine.LF;
    const length = (unix ? change.newText : change.newText.replaceAll(/\r?\n/g, "\r\n")).length;
    const end = document.positionAt(start + length);
    editor.selection = new vscode.Selection(end, end);
    const argument = { id: candidate.id, uri: document.uri.toString() };
    await vscode.commands.executeCommand(ServerCommand.accepted, argument);
  }

  private async why(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (editor === undefined) return;
    const { markdown } = await this.ask(editor);
    await this.previews.explain(markdown);
  }

  private ask(editor: vscode.TextEditor): Promise<Why> {
    const { line, character } = editor.selection.active;
    const uri = editor.document.uri.toString();
    return this.client.execute<Why>(ServerCommand.why, { uri, position: { line, character } });
  }

  private async testShown(): Promise<void> {
    const id = this.ghost.subject;
    if (id === undefined) {
      sayNothingShown();
      return;
    }
    await this.test(id);
  }

  private async test(id: string): Promise<void> {
    const title = "$(beaker) p2assist is testing";
    const options = { location: vscode.ProgressLocation.Window, title };
    const tested = await vscode.window.withProgress(options, () =>
      this.client.execute<Candidate | null>(ServerCommand.test, { id }),
    );
    if (tested === null) {
      sayNothingShown();
      return;
    }
    this.book.amend(tested);
    this.changed.fire();
    void vscode.window.setStatusBarMessage(`p2assist: ${evidenceWords(tested)}`, 5000);
  }

  private async neverShown(): Promise<void> {
    const id = this.ghost.subject;
    if (id === undefined) {
      sayNothingShown();
      return;
    }
    await this.never(id);
  }

  private async never(id: string): Promise<void> {
    await vscode.commands.executeCommand("editor.action.inlineSuggest.hide");
    this.ghost.end();
    await this.client.execute(ServerCommand.never, { id });
  }
}

/** What a command put in at the cursor. */
async function insertedBy({ document, selection }: vscode.TextEditor, command: string): Promise<string> {
  const start = document.offsetAt(selection.active);
  const before = document.getText().length;
  await vscode.commands.executeCommand(command);
  const text = document.getText();
  return text.slice(start, start + Math.max(0, text.length - before));
}

function sayNothingShown(): void {
  void vscode.window.showInformationMessage("There is no completion of p2assist here.");
}
