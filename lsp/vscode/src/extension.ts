/** Wiring only: which part hears of which. */
import * as vscode from "vscode";

import { Client } from "./client.js";
import { CompletionCommands } from "./completionCommands.js";
import { OwnEnvironment } from "./environment.js";
import { EvidenceBook } from "./evidence.js";
import { Ghost } from "./ghost.js";
import { Interpreters } from "./interpreter.js";
import { Launching } from "./launching.js";
import { Options } from "./options.js";
import { Previews } from "./preview.js";
import { register, serverCommands } from "./serverCommands.js";
import { StatusBar } from "./statusBar.js";

let client: Client | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const output = vscode.window.createOutputChannel("p2assist", { log: true });
  const changed = new vscode.EventEmitter<void>();
  const interpreters = new Interpreters();
  const ghost = new Ghost();
  const book = new EvidenceBook();
  const bar = new StatusBar();
  const previews = new Previews();
  const storage = context.globalStorageUri;
  await vscode.workspace.fs.createDirectory(storage);
  const running = new Client(new Options(interpreters, output), output, ghost.middleware, storage.fsPath);
  client = running;
  const launching = new Launching(running, new OwnEnvironment(storage, context.globalState, output), bar, ghost);
  const completions = new CompletionCommands(running, ghost, book, previews, changed);

  const draw = (): void => {
    const uri = vscode.window.activeTextEditor?.document.uri.toString() ?? "";
    bar.update(running.status, book.candidate(ghost.subjectIn(uri)), ghost.neighbours);
  };
  const push = (): void => void running.push();

  context.subscriptions.push(
    output,
    changed,
    interpreters,
    ghost,
    bar,
    previews,
    running,
    ...register(completions.all(), output),
    ...register(serverCommands(running, launching, output), output),
    changed.event(draw),
    ghost.onDidChange(draw),
    running.onEvidence((evidence) => {
      book.take(evidence);
      changed.fire();
    }),
    running.onStatus((status) => {
      void vscode.commands.executeCommand("setContext", "p2assist.running", running.running);
      void vscode.commands.executeCommand("setContext", "p2assist.paused", status.state === "paused");
      draw();
    }),
    interpreters.onDidChange(push),
    vscode.workspace.onDidGrantWorkspaceTrust(push),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("p2assist.path")) void launching.launch();
      else if (event.affectsConfiguration("p2assist")) push();
    }),
    vscode.window.onDidChangeActiveTextEditor(draw),
    vscode.workspace.onDidCloseTextDocument((document) => {
      book.forget(document.uri.toString());
    }),
  );
  await interpreters.start(output);
  await launching.launch();
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}
