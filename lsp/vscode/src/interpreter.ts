/** The interpreter of the project's tests: the setting, else ms-python's choice, else the server looks. */
import { PythonExtension } from "@vscode/python-extension";
import * as vscode from "vscode";

import { expanded } from "./machine.js";

export class Interpreters implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  private readonly disposables: { dispose(): unknown }[] = [this.changed];
  private api: PythonExtension | undefined;
  readonly onDidChange = this.changed.event;

  /** ms-python is optional: without it, or if it fails, there is only the setting. */
  async start(output: vscode.LogOutputChannel): Promise<void> {
    if (vscode.extensions.getExtension("ms-python.python") === undefined) return;
    try {
      this.api = await PythonExtension.api();
      this.disposables.push(
        this.api.environments.onDidChangeActiveEnvironmentPath(() => {
          this.changed.fire();
        }),
      );
    } catch (error) {
      output.warn(`The Python extension gives no interpreter: ${String(error)}`);
    }
  }

  /** An absolute path, or "" for the server to look for `.venv`, `venv` and so on itself. */
  async of(folder: vscode.WorkspaceFolder | undefined): Promise<string> {
    const setting = vscode.workspace.getConfiguration("p2assist", folder).get<string>("python", "");
    if (setting !== "") return expanded(setting, folder?.uri.fsPath);
    return (await this.chosen(folder)) ?? "";
  }

  /** Only what a person or ms-python chose for the folder: its fallback, a bare "python", is nobody's. */
  private async chosen(folder: vscode.WorkspaceFolder | undefined): Promise<string | undefined> {
    const environments = this.api?.environments;
    const active = environments?.getActiveEnvironmentPath(folder?.uri);
    if (active === undefined || active.id === "DEFAULT_PYTHON") return undefined;
    const resolved = await environments?.resolveEnvironment(active);
    return resolved?.executable.uri?.fsPath;
  }

  dispose(): void {
    for (const disposable of this.disposables) disposable.dispose();
  }
}
