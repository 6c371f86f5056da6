/** Where p2assist's own executable is. Knows no editor; the file system comes in from outside. */
import * as path from "node:path";

export type Origin = "setting" | "own environment" | "PATH";

export interface Executable {
  readonly file: string;
  readonly origin: Origin;
}

export interface Machine {
  readonly windows: boolean;
  /** The value of PATH. */
  readonly searchPath: string;
  readonly exists: (file: string) => boolean;
}

/** A program in a virtual environment: `bin/p2assist`, on Windows `Scripts\p2assist.exe`. */
export function inEnvironment(environment: string, program: string, windows: boolean): string {
  return windows
    ? path.win32.join(environment, "Scripts", `${program}.exe`)
    : path.posix.join(environment, "bin", program);
}

/** The setting, else the environment of our own, else PATH; undefined where none has it. */
export function findExecutable(setting: string, environment: string, machine: Machine): Executable | undefined {
  if (setting !== "") return machine.exists(setting) ? { file: setting, origin: "setting" } : undefined;
  const own = inEnvironment(environment, "p2assist", machine.windows);
  if (machine.exists(own)) return { file: own, origin: "own environment" };
  const onPath = findOnPath("p2assist", machine);
  return onPath === undefined ? undefined : { file: onPath, origin: "PATH" };
}

/** Only absolute entries are looked at: a relative one could be the opened folder's. */
export function findOnPath(program: string, machine: Machine): string | undefined {
  const flavour = machine.windows ? path.win32 : path.posix;
  const name = machine.windows ? `${program}.exe` : program;
  return machine.searchPath
    .split(flavour.delimiter)
    .filter((folder) => flavour.isAbsolute(folder))
    .map((folder) => flavour.join(folder, name))
    .find((file) => machine.exists(file));
}

/** The environment a server starts with: nothing that points Python at somebody else's packages. */
export function cleanEnvironment(variables: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const foreign = new Set(["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV"]);
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !foreign.has(name)));
}
