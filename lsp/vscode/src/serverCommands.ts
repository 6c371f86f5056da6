/** The commands about the server itself: environment, start, pause, adapter, status. */
import * as vscode from "vscode";

import type { Client } from "./client.js";
import { ServerCommand } from "./protocol.js";

export interface Launcher {
  /** Looks for the executable again and starts the server with it. */
  launch(): Promise<void>;
  makeEnvironment(): Promise<void>;
  showMenu(): Promise<void>;
}

export function serverCommands(
  client: Client,
  launcher: Launcher,
  output: vscode.LogOutputChannel,
): Record<string, () => Promise<void>> {
  return {
    "p2assist.pauseCompletions": () => client.execute(ServerCommand.pause),
    "p2assist.resumeCompletions": () => client.execute(ServerCommand.resume),
    "p2assist.reloadAdapter": async () => {
      const name = await client.execute<string | null>(ServerCommand.reload);
      const words = name === null || name === "" ? "p2assist serves the base model" : `p2assist serves ${name}`;
      void vscode.window.setStatusBarMessage(`$(check) ${words}`, 5000);
    },
    "p2assist.restart": () => launcher.launch(),
    "p2assist.makeEnvironment": () => launcher.makeEnvironment(),
    "p2assist.showStatus": () => launcher.showMenu(),
    "p2assist.showOutput": () => {
      output.show();
      return Promise.resolve();
    },
  };
}

/** Registers each; a failure is told, and goes to the output. */
export function register(
  commands: Record<string, () => Promise<void>>,
  output: vscode.LogOutputChannel,
): vscode.Disposable[] {
  return Object.entries(commands).map(([id, run]) =>
    vscode.commands.registerCommand(id, async () => {
      try {
        await run();
      } catch (error) {
        const words = error instanceof Error ? error.message : String(error);
        output.error(`${id}: ${words}`);
        void vscode.window.showErrorMessage(`p2assist: ${words}`);
      }
    }),
  );
}
