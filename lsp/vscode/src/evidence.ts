/** The evidence that came in. What is shown never changes: this goes beside it. */
import type { Candidate, Evidence } from "./protocol.js";

const KEPT = 500;

export class EvidenceBook {
  private readonly pages = new Map<string, readonly string[]>();
  private readonly known = new Map<string, Candidate>();

  /** Takes a whole list from the server in place of the document's one before. */
  take({ uri, candidates }: Evidence): void {
    if (candidates.length > 0) this.pages.set(uri, candidates.map(({ id }) => id));
    for (const candidate of candidates) this.amend(candidate);
  }

  /** One candidate, the newest last: what was accepted is of interest after its list is gone. */
  amend(candidate: Candidate): void {
    this.known.delete(candidate.id);
    this.known.set(candidate.id, candidate);
    const [oldest] = this.known.keys();
    if (this.known.size > KEPT && oldest !== undefined) this.known.delete(oldest);
  }

  /** The last list of a document. */
  of(uri: string): readonly Candidate[] {
    const ids = this.pages.get(uri) ?? [];
    return ids.map((id) => this.known.get(id)).filter((candidate) => candidate !== undefined);
  }

  candidate(id: string | undefined): Candidate | undefined {
    return id === undefined ? undefined : this.known.get(id);
  }

  forget(uri: string): void {
    for (const id of this.pages.get(uri) ?? []) this.known.delete(id);
    this.pages.delete(uri);
  }
}
