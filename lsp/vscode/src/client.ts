/** The one language client of a window: starts, restarts and talks to `p2assist lsp`. */
import * as vscode from "vscode";
import {
  CloseAction,
  DidChangeConfigurationNotification,
  ErrorAction,
  ExecuteCommandRequest,
  LanguageClient,
  type LanguageClientOptions,
  type Middleware,
  RevealOutputChannelOn,
  State,
} from "vscode-languageclient/node";

import { cleanEnvironment, type Executable } from "./executable.js";
import { folderOf } from "./folders.js";
import type { Options } from "./options.js";
import { EVIDENCE, type Evidence, ServerCommand, STATUS, type ServerStatus } from "./protocol.js";
import { Restarts } from "./restarts.js";
import type { ServerOptions } from "./settings.js";

const STARTING: ServerStatus = { folder: "", state: "starting", words: "starting", model: "", adapter: "", tests: 0 };

export class Client implements vscode.Disposable {
  private readonly statusEmitter = new vscode.EventEmitter<ServerStatus>();
  private readonly evidenceEmitter = new vscode.EventEmitter<Evidence>();
  private readonly restarts = new Restarts();
  private client: LanguageClient | undefined;
  private options: ServerOptions | undefined;
  private last: ServerStatus = STARTING;
  private readonly byFolder = new Map<string, ServerStatus>();

  readonly onStatus = this.statusEmitter.event;
  readonly onEvidence = this.evidenceEmitter.event;

  constructor(
    private readonly source: Options,
    private readonly output: vscode.LogOutputChannel,
    private readonly middleware: Middleware,
    private readonly home: string,
  ) {}

  /** Of the active document's folder; of the folder that was used last where the server said nothing of that one. */
  get status(): ServerStatus {
    return this.byFolder.get(firstFolder()?.uri.fsPath ?? "") ?? this.last;
  }

  get running(): boolean {
    return this.client?.state === State.Running;
  }

  /** Starts the server; where it cannot, the status says why. */
  async start(executable: Executable, extraArguments: readonly string[] = []): Promise<void> {
    await this.stop();
    this.restarts.forget();
    this.tell(STARTING);
    this.options = await this.source.read(firstFolder());
    this.output.info(`starting ${executable.file} lsp (from ${executable.origin})`);
    const run = {
      command: executable.file,
      args: ["lsp", ...extraArguments],
      // Never in the opened folder: a Python that starts there would import from it.
      options: { cwd: this.home, env: cleanEnvironment(process.env) },
    };
    const client = new LanguageClient("p2assist", "p2assist", run, this.clientOptions());
    this.client = client;
    client.onNotification(STATUS, (status: Partial<ServerStatus>) => {
      this.tell({ ...STARTING, ...status });
    });
    client.onNotification(EVIDENCE, (evidence: Evidence) => {
      this.evidenceEmitter.fire(evidence);
    });
    client.onDidChangeState(({ newState }) => {
      if (newState === State.Starting) this.tell(STARTING);
      if (newState === State.Running) void this.askStatus();
    });
    try {
      await client.start();
    } catch (error) {
      this.fail(`it did not start: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    if (client?.needsStop() === true) await client.stop(2000).catch(() => undefined);
    await client?.dispose().catch(() => undefined);
  }

  /** Sends the settings, the trust and the interpreter as they are now. */
  async push(): Promise<void> {
    this.options = await this.source.read(firstFolder());
    if (!this.running) return;
    const settings = { p2assist: this.options };
    await this.client?.sendNotification(DidChangeConfigurationNotification.type, { settings });
  }

  /** One of the server's commands (PROTOCOL.md). Throws where no server is running. */
  async execute<T>(command: string, ...args: unknown[]): Promise<T> {
    if (this.client === undefined || !this.running) throw new Error("the language server is not running");
    const result: unknown = await this.client.sendRequest(ExecuteCommandRequest.type, { command, arguments: args });
    return result as T;
  }

  fail(words: string): void {
    this.output.error(words);
    this.tell({ ...this.last, folder: "", state: "failed", words });
  }

  dispose(): void {
    void this.stop();
    this.statusEmitter.dispose();
    this.evidenceEmitter.dispose();
  }

  /** A status without a folder is of the server itself, and so of every folder. */
  private tell(status: ServerStatus): void {
    this.last = status;
    if (status.folder === "") this.byFolder.clear();
    else this.byFolder.set(vscode.Uri.parse(status.folder).fsPath, status);
    this.statusEmitter.fire(status);
  }

  private async askStatus(): Promise<void> {
    try {
      this.tell({ ...STARTING, ...(await this.execute<Partial<ServerStatus>>(ServerCommand.status)) });
    } catch (error) {
      this.output.warn(`no status: ${String(error)}`);
    }
  }

  private clientOptions(): LanguageClientOptions {
    return {
      documentSelector: selector(),
      outputChannel: this.output,
      traceOutputChannel: this.output,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationOptions: () => this.options,
      initializationFailedHandler: () => false,
      middleware: { ...this.middleware, workspace: { configuration: (params) => this.configuration(params.items) } },
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: () => this.closed(),
      },
    };
  }

  /** What `workspace/configuration` asks: each folder has its own settings and interpreter. */
  private configuration(items: readonly { section?: string; scopeUri?: string }[]): Promise<unknown[]> {
    return Promise.all(
      items.map(async ({ section, scopeUri }) => {
        if (section !== "p2assist") return null;
        const folder = scopeUri === undefined ? firstFolder() : folderOf(vscode.Uri.parse(scopeUri));
        return await this.source.read(folder);
      }),
    );
  }

  private async closed(): Promise<{ action: CloseAction; handled: true }> {
    const pause = this.restarts.next(Date.now());
    if (pause === undefined) {
      this.fail("the language server died too often; see the output, then restart it");
      return { action: CloseAction.DoNotRestart, handled: true };
    }
    this.output.warn(`the language server ended; starting it again in ${pause} ms`);
    this.tell({ ...this.last, folder: "", state: "starting", words: "starting again" });
    await new Promise((resolve) => setTimeout(resolve, pause));
    return { action: CloseAction.Restart, handled: true };
  }
}

function firstFolder(): vscode.WorkspaceFolder | undefined {
  const active = vscode.window.activeTextEditor?.document.uri;
  const own = active === undefined ? undefined : folderOf(active);
  return own ?? vscode.workspace.workspaceFolders?.[0];
}

/** Files, unsaved files and the Python cells of notebooks; not diffs, outputs or git's old versions. */
function selector(): { scheme: string; language: string }[] {
  const languages = vscode.workspace.getConfiguration("p2assist").get<readonly string[]>("languages", ["python"]);
  return ["file", "untitled", "vscode-notebook-cell"].flatMap((scheme) =>
    languages.map((language) => ({ scheme, language })),
  );
}
