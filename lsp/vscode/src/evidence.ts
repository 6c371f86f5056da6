/** The last evidence of each document. What is shown never changes: this goes beside it. */
import type { Candidate, Evidence } from "./protocol.js";

export class EvidenceBook {
  private readonly pages = new Map<string, Evidence>();

  /** Takes a whole list from the server in place of the one before. */
  take(evidence: Evidence): void {
    this.pages.set(evidence.uri, evidence);
  }

  /** One candidate tested by request: replaced where it stands, ignored where it does not. */
  amend(candidate: Candidate): void {
    for (const [uri, page] of this.pages) {
      if (!page.candidates.some(({ id }) => id === candidate.id)) continue;
      const candidates = page.candidates.map((old) => (old.id === candidate.id ? candidate : old));
      this.pages.set(uri, { ...page, candidates });
    }
  }

  of(uri: string): Evidence | undefined {
    return this.pages.get(uri);
  }

  candidate(uri: string, id: string | undefined): Candidate | undefined {
    return id === undefined ? undefined : this.pages.get(uri)?.candidates.find((candidate) => candidate.id === id);
  }

  forget(uri: string): void {
    this.pages.delete(uri);
  }

  clear(): void {
    this.pages.clear();
  }
}
