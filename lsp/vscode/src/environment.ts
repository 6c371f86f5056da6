/** p2assist's own environment: made on request, in the extension's storage, never in the project. */
import { spawn } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import * as path from "node:path";
import * as vscode from "vscode";

import { cleanEnvironment, findOnPath, inEnvironment } from "./executable.js";
import { expanded, thisMachine } from "./machine.js";

const NEEDS = "import sys; sys.exit(sys.version_info < (3, 11))";

const CURRENT = "environment";

export class OwnEnvironment {
  constructor(
    private readonly storage: vscode.Uri,
    private readonly state: vscode.Memento,
    private readonly output: vscode.LogOutputChannel,
  ) {}

  /** The one in use, which may not be there; each is made in a folder of its own. */
  get folder(): string {
    return this.state.get(CURRENT, path.join(this.storage.fsPath, CURRENT));
  }

  /** Makes it, shows pip's progress, and can be cancelled. Returns whether it is there. */
  async make(): Promise<boolean> {
    const settings = vscode.workspace.getConfiguration("p2assist.install");
    const python = await this.findPython(settings.get<string>("python", ""));
    if (python === undefined) {
      await tellNoPython();
      return false;
    }
    const requirement = settings.get<string>("requirement", "p2assist[lsp,model]");
    const further = settings.get<readonly string[]>("arguments", []);
    try {
      await vscode.window.withProgress(
        { location: vscode.ProgressLocation.Notification, title: "p2assist's environment", cancellable: true },
        (progress, cancel) => this.build(python, ["install", ...further, requirement], progress, cancel),
      );
      return true;
    } catch (error) {
      await this.tellFailure(error);
      return false;
    }
  }

  /** Beside the one in use: a cancelled or broken install leaves that alone. */
  private async build(
    python: string,
    pip: readonly string[],
    progress: vscode.Progress<{ message?: string }>,
    cancel: vscode.CancellationToken,
  ): Promise<void> {
    const before = this.folder;
    const fresh = path.join(this.storage.fsPath, `${CURRENT}-${Date.now()}`);
    const say = (message: string): void => {
      progress.report({ message });
    };
    await mkdir(this.storage.fsPath, { recursive: true });
    try {
      say("making it");
      await this.run(python, ["-m", "venv", fresh], say, cancel);
      const own = inEnvironment(fresh, "python", thisMachine().windows);
      await this.run(own, ["-m", "pip", "--disable-pip-version-check", "--no-input", ...pip], say, cancel);
      await this.run(own, ["-c", "import p2assist, pygls"], say, cancel);
    } catch (error) {
      await rm(fresh, { recursive: true, force: true });
      throw error;
    }
    await this.state.update(CURRENT, fresh);
    await rm(before, { recursive: true, force: true });
  }

  private run(
    program: string,
    args: readonly string[],
    say: (line: string) => void,
    cancel: vscode.CancellationToken,
  ): Promise<void> {
    this.output.info(`$ ${program} ${args.join(" ")}`);
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, { cwd: this.storage.fsPath, env: cleanEnvironment(process.env) });
      const stop = cancel.onCancellationRequested(() => child.kill());
      const onLines = (chunk: Buffer): void => {
        for (const line of chunk.toString("utf8").split(/\r?\n|\r/).filter((text) => text.trim() !== "")) {
          this.output.info(line);
          say(line.trim().slice(0, 80));
        }
      };
      child.stdout.on("data", onLines);
      child.stderr.on("data", onLines);
      child.on("error", reject);
      child.on("close", (code) => {
        stop.dispose();
        if (cancel.isCancellationRequested) reject(new vscode.CancellationError());
        else if (code === 0) resolve();
        else reject(new Error(`${path.basename(program)} ${args.slice(0, 4).join(" ")} ended with ${code ?? "a signal"}`));
      });
    });
  }

  private async findPython(setting: string): Promise<string | undefined> {
    const machine = thisMachine();
    const named = ["python3", "python3.13", "python3.12", "python3.11", "python"];
    const onPath = named.map((name) => findOnPath(name, machine)).filter((file) => file !== undefined);
    for (const file of setting === "" ? onPath : [expanded(setting, undefined)]) {
      if (await this.isNewEnough(file)) return file;
    }
    return undefined;
  }

  private async isNewEnough(file: string): Promise<boolean> {
    const never = new vscode.CancellationTokenSource();
    try {
      await mkdir(this.storage.fsPath, { recursive: true });
      await this.run(file, ["-c", NEEDS], () => undefined, never.token);
      return true;
    } catch {
      return false;
    } finally {
      never.dispose();
    }
  }

  private async tellFailure(error: unknown): Promise<void> {
    if (error instanceof vscode.CancellationError) return;
    const reason = error instanceof Error ? error.message : String(error);
    this.output.error(reason);
    const show = "Show Output";
    const chosen = await vscode.window.showErrorMessage(`p2assist's environment could not be made: ${reason}`, show);
    if (chosen === show) this.output.show();
  }
}

async function tellNoPython(): Promise<void> {
  const settings = "Open Settings";
  const message = "p2assist needs Python 3.11 or later for its own environment; none was found. Name one in p2assist.install.python.";
  const chosen = await vscode.window.showErrorMessage(message, settings);
  if (chosen === settings) await vscode.commands.executeCommand("workbench.action.openSettings", "p2assist.install");
}
