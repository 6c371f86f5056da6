/** A completion that is accepted word by word: one candidate, however often the server is asked meanwhile. */

interface Taking {
  readonly id: string;
  readonly text: string;
  /** UTF-16 units of the text that stand in the document. */
  readonly done: number;
}

export class PartialAccept {
  private taking: Taking | undefined;

  /**
   * Before the editor inserts the next part of what is shown.
   *
   * After each part the server answers anew, with the rest under another id, while the editor goes on
   * with the item that it has: an offer of exactly the rest is the same candidate.
   *
   * @returns the candidate's id
   */
  begin(id: string, text: string): string {
    const before = this.taking;
    const same = before !== undefined && (id === before.id || text === before.text.slice(before.done));
    if (!same) this.taking = { id, text, done: 0 };
    return this.taking?.id ?? id;
  }

  /**
   * After it.
   *
   * @returns how much of the candidate stands in the document now; undefined if what was inserted is
   *   not its next part: then another extension's text was on screen
   */
  inserted(part: string): number | undefined {
    const { taking } = this;
    const unix = part.replaceAll("\r\n", "\n");
    if (taking === undefined || unix === "" || !taking.text.startsWith(unix, taking.done)) {
      this.taking = undefined;
      return undefined;
    }
    this.taking = { ...taking, done: taking.done + unix.length };
    return this.taking.done;
  }
}
