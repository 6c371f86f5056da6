/** What the language server and the extension say to each other: lsp/PROTOCOL.md, typed. */

export type ServerState =
  | "starting"
  | "loading"
  | "indexing"
  | "ready"
  | "paused"
  | "untrusted"
  | "refreshing"
  | "failed";

/** `p2assist/status`: of the folder of this URI; words are for people; tests is the number that cover it. */
export interface ServerStatus {
  readonly folder: string;
  readonly state: ServerState;
  readonly words: string;
  readonly model: string;
  readonly adapter: string;
  readonly tests: number;
}

export type CandidateState = "waiting" | "testing" | "tested" | "untested" | "refused";

/** passRate and p2value are null while unknown; failing holds pytest node ids. */
export interface Candidate {
  readonly id: string;
  readonly text: string;
  readonly rank: number;
  readonly possibility: number;
  readonly passRate: number | null;
  readonly p2value: number | null;
  readonly passed: number;
  readonly total: number;
  readonly failing: readonly string[];
  readonly evidence: string;
  readonly state: CandidateState;
}

/** `p2assist/evidence`: all candidates of one request, each time one of them changes. */
export interface Evidence {
  readonly uri: string;
  readonly version: number | null;
  readonly candidates: readonly Candidate[];
}

export interface Why {
  readonly markdown: string;
  readonly candidates: readonly Candidate[];
}

export const STATUS = "p2assist/status";
export const EVIDENCE = "p2assist/evidence";

/**
 * The server's commands. The language client registers each of them in VS Code,
 * so the extension's own commands (package.json) have other names.
 */
export const ServerCommand = {
  accepted: "p2assist.accepted",
  partiallyAccepted: "p2assist.partiallyAccepted",
  rejected: "p2assist.rejected",
  why: "p2assist.why",
  test: "p2assist.test",
  never: "p2assist.never",
  pause: "p2assist.pause",
  resume: "p2assist.resume",
  status: "p2assist.status",
  reload: "p2assist.reload",
} as const;
