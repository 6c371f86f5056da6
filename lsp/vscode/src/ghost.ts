/** Between VS Code and the server's ghost text: remembers what is offered, as middleware. */
import * as vscode from "vscode";
import type { Middleware } from "vscode-languageclient/node";

import { neighbours } from "./neighbours.js";
import { candidateId, itemText, keepShownFirst, type Offer, Offers } from "./offers.js";
import { type Candidate, ServerCommand } from "./protocol.js";

export class Ghost implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  private readonly watcher: vscode.Disposable;
  private others: readonly string[] = [];
  private lastAccepted: { readonly id: string; readonly uri: string } | undefined;
  readonly offers = new Offers();
  readonly onDidChange = this.changed.event;

  readonly middleware: Middleware = {
    provideInlineCompletionItems: async (document, position, context, token, next) => {
      const answer = await next(document, position, context, token);
      if (token.isCancellationRequested || answer === null || answer === undefined) return answer;
      const items = Array.isArray(answer) ? answer : answer.items;
      const invoked = context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke;
      return [...this.offered(document, position, items, invoked)];
    },
    executeCommand: (command, args: readonly unknown[], next): unknown => {
      if (command === ServerCommand.accepted) this.accepted(args);
      return next(command, [...args]);
    },
  };

  constructor() {
    this.look();
    this.watcher = vscode.extensions.onDidChange(() => {
      this.look();
    });
  }

  /** Other extensions that offer ghost text here, by name. */
  get neighbours(): readonly string[] {
    return this.others;
  }

  /** The candidate whose evidence is of interest: what is on screen, else what was accepted last. */
  get subject(): string | undefined {
    return this.offers.shownId ?? this.lastAccepted?.id;
  }

  /** The same, if it is in this document. */
  subjectIn(uri: string): string | undefined {
    return (this.offers.current ?? this.lastAccepted)?.uri === uri ? this.subject : undefined;
  }

  /** The candidate that was accepted last, while it is of interest. */
  get acceptedId(): string | undefined {
    return this.lastAccepted?.id;
  }

  cycle(by: number): void {
    this.offers.cycle(by);
    this.changed.fire();
  }

  end(): void {
    this.offers.end();
    this.lastAccepted = undefined;
    this.tell();
  }

  /** The edit that a candidate makes where the offer was made. */
  edit({ ids, texts, start, end }: Offer, candidate: Candidate): vscode.TextEdit {
    const offered = texts[ids.indexOf(candidate.id)];
    // Only what was offered replaces the entry that is selected in a suggestion list.
    const from = offered === undefined ? end : start;
    const range = new vscode.Range(from.line, from.character, end.line, end.character);
    return new vscode.TextEdit(range, offered ?? candidate.text);
  }

  dispose(): void {
    this.watcher.dispose();
    this.changed.dispose();
  }

  private offered(
    document: vscode.TextDocument,
    position: vscode.Position,
    items: readonly vscode.InlineCompletionItem[],
    invoked: boolean,
  ): readonly vscode.InlineCompletionItem[] {
    const uri = document.uri.toString();
    const same = this.offers.isAt(uri, document.version);
    const ordered = keepShownFirst(items, same ? this.offers.shownText : undefined);
    const ours = ordered.filter((item) => candidateId(item) !== undefined);
    // VS Code asks again after an accept, and often in vain: what was accepted stays of interest.
    if (ours.length > 0) this.lastAccepted = undefined;
    this.offers.take({
      uri,
      version: document.version,
      start: ours[0]?.range?.start ?? position,
      end: ours[0]?.range?.end ?? position,
      ids: ours.map((item) => candidateId(item) ?? ""),
      texts: ours.map(itemText),
      invoked,
    });
    this.look();
    this.tell();
    return ordered;
  }

  private accepted(args: readonly unknown[]): void {
    const id = candidateId({ insertText: "", command: { command: ServerCommand.accepted, arguments: args } });
    const uri = this.offers.current?.uri ?? vscode.window.activeTextEditor?.document.uri.toString() ?? "";
    this.offers.end();
    this.lastAccepted = id === undefined ? undefined : { id, uri };
    this.tell();
  }

  private look(): void {
    const active = vscode.extensions.all.filter((extension) => extension.isActive).map((extension) => extension.id);
    this.others = neighbours(active);
  }

  private tell(): void {
    void vscode.commands.executeCommand("setContext", "p2assist.offering", this.offers.current !== undefined);
    void vscode.commands.executeCommand("setContext", "p2assist.alone", this.others.length === 0);
    this.changed.fire();
  }
}
