/** VS Code's settings, read into the object that PROTOCOL.md names. No editor is needed here. */

export interface ServerOptions {
  readonly trusted: boolean;
  readonly python: string;
  readonly enabled: boolean;
  readonly beams: number;
  readonly automatic: boolean;
  readonly show: "at once" | "with evidence";
  readonly patience: number;
  readonly hideFailing: boolean;
  readonly inComments: boolean;
  readonly inStrings: boolean;
  readonly exclude: readonly string[];
  readonly debounce: { readonly least: number; readonly most: number };
  readonly feedback: boolean;
  readonly editor: string;
}

/** `get("beams")` is the value of `p2assist.beams`, of whatever type a person wrote. */
export type Getter = (key: string) => unknown;

export interface Reading {
  readonly options: ServerOptions;
  /** One sentence for each setting whose value is not usable; its default holds. */
  readonly problems: readonly string[];
}

/** What only the editor knows: whether the folder is trusted and which interpreter is its. */
export interface Surroundings {
  readonly trusted: boolean;
  readonly python: string;
}

export function readOptions(get: Getter, surroundings: Surroundings): Reading {
  const reader = new Reader(get);
  const least = reader.integer("debounce.least", 25, 0, 5000);
  const most = reader.integer("debounce.most", 350, 0, 5000);
  if (least > most) {
    reader.problems.push(`p2assist.debounce.least is ${least}, above debounce.most, ${most}: both are ${most} now.`);
  }
  const options: ServerOptions = {
    ...surroundings,
    enabled: reader.boolean("enabled", true),
    beams: reader.integer("beams", 8, 1, 32),
    automatic: reader.boolean("automatic", true),
    show: reader.oneOf("show", ["at once", "with evidence"]),
    patience: reader.integer("patience", 400, 0, 10_000),
    hideFailing: reader.boolean("hideFailing", false),
    inComments: reader.boolean("inComments", true),
    inStrings: reader.boolean("inStrings", true),
    exclude: reader.strings("exclude", []),
    debounce: { least: Math.min(least, most), most },
    feedback: reader.boolean("feedback", true),
    editor: "vscode",
  };
  return { options, problems: reader.problems };
}

class Reader {
  readonly problems: string[] = [];

  constructor(private readonly get: Getter) {}

  boolean(key: string, usual: boolean): boolean {
    return this.checked(key, usual, (value) => typeof value === "boolean", "true or false");
  }

  integer(key: string, usual: number, least: number, most: number): number {
    const fits = (value: unknown): value is number =>
      Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
    return this.checked(key, usual, fits, `a whole number from ${least} to ${most}`);
  }

  oneOf<T extends string>(key: string, choices: readonly [T, ...T[]]): T {
    const fits = (value: unknown): value is T => choices.some((choice) => choice === value);
    return this.checked(key, choices[0], fits, choices.map((choice) => `"${choice}"`).join(" or "));
  }

  strings(key: string, usual: readonly string[]): readonly string[] {
    const fits = (value: unknown): value is readonly string[] =>
      Array.isArray(value) && value.every((item) => typeof item === "string" && item !== "");
    return this.checked(key, usual, fits, "a list of texts");
  }

  private checked<T>(key: string, usual: T, fits: (value: unknown) => value is T, wanted: string): T {
    const value = this.get(key);
    if (value === undefined || value === null) return usual;
    if (fits(value)) return value;
    this.problems.push(`p2assist.${key} is ${JSON.stringify(value)}, not ${wanted}: ${JSON.stringify(usual)} holds.`);
    return usual;
  }
}
