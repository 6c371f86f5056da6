/** From "nothing is installed" to a running server. */
import * as vscode from "vscode";

import type { Client } from "./client.js";
import type { OwnEnvironment } from "./environment.js";
import { findExecutable } from "./executable.js";
import type { Ghost } from "./ghost.js";
import { expanded, thisMachine } from "./machine.js";
import { showMenu } from "./menu.js";
import type { Launcher } from "./serverCommands.js";
import type { StatusBar } from "./statusBar.js";

export class Launching implements Launcher {
  private asked = false;
  private launches = Promise.resolve();

  constructor(
    private readonly client: Client,
    private readonly environment: OwnEnvironment,
    private readonly bar: StatusBar,
    private readonly ghost: Ghost,
  ) {}

  /** One after the other: a server that is starting cannot be stopped. */
  launch(): Promise<void> {
    const next = this.launches.then(() => this.launchNow());
    this.launches = next.catch(() => undefined);
    return next;
  }

  async makeEnvironment(): Promise<void> {
    if (await this.environment.make()) await this.launch();
  }

  async showMenu(): Promise<void> {
    await showMenu(this.client.status, this.client.running, this.ghost.neighbours);
  }

  private async launchNow(): Promise<void> {
    const setting = expanded(vscode.workspace.getConfiguration("p2assist").get<string>("path", ""), undefined);
    const executable = findExecutable(setting, this.environment.folder, thisMachine());
    if (executable !== undefined) {
      await this.client.start(executable);
      return;
    }
    await this.client.stop();
    this.bar.askForSetUp();
    if (setting === "") void this.offerEnvironment();
    else this.client.fail(`p2assist.path names ${setting}, which is not a program`);
  }

  /** Once a window, and never again in this window after a no. */
  private async offerEnvironment(): Promise<void> {
    if (this.asked) return;
    this.asked = true;
    const make = "Make It";
    const name = "I Have It";
    const message = "p2assist needs an environment of its own; your project's stays as it is.";
    const chosen = await vscode.window.showInformationMessage(message, make, name);
    if (chosen === make) await this.makeEnvironment();
    if (chosen === name) await vscode.commands.executeCommand("workbench.action.openSettings", "p2assist.path");
  }
}
