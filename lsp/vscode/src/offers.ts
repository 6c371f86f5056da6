/** What was last offered as ghost text, and how far it was accepted. Knows no editor. */
import { ServerCommand } from "./protocol.js";

/** The parts of a vscode.InlineCompletionItem that matter here. */
export interface Item {
  readonly insertText: unknown;
  readonly command?: { readonly command: string; readonly arguments?: readonly unknown[] } | undefined;
}

export interface Place {
  readonly line: number;
  readonly character: number;
}

/** Items offered at one place of one version of a document; the ids are the server's. */
export interface Offer {
  readonly uri: string;
  readonly version: number;
  readonly start: Place;
  readonly end: Place;
  readonly ids: readonly string[];
  readonly texts: readonly string[];
  /** Asked for, so that all candidates are in it; false: typing brought the best one. */
  readonly invoked: boolean;
}

/** The candidate's id, from the command that runs on accept; undefined for items that are not ours. */
export function candidateId(item: Item): string | undefined {
  if (item.command?.command !== ServerCommand.accepted) return undefined;
  const first = item.command.arguments?.[0];
  if (typeof first !== "object" || first === null || !("id" in first)) return undefined;
  return typeof first.id === "string" ? first.id : undefined;
}

/** What an item inserts; snippets are not ours. */
export function itemText(item: Item): string {
  return typeof item.insertText === "string" ? item.insertText : "";
}

/**
 * The same items, with the one that is on screen first.
 *
 * VS Code asks again before it cycles and takes the first item for the one that is shown: were the
 * order only the server's, the next one could skip the best. The text tells which it is: a second
 * request may give the same candidate another id.
 */
export function keepShownFirst<T extends Item>(items: readonly T[], shown: string | undefined): readonly T[] {
  const at = shown === undefined ? -1 : items.findIndex((item) => itemText(item) === shown);
  const kept = items[at];
  return kept === undefined ? items : [kept, ...items.slice(0, at), ...items.slice(at + 1)];
}

/** The one offer that may be on screen, and which of its items. */
export class Offers {
  private offer: Offer | undefined;
  private index = 0;
  private turns = 0;

  get current(): Offer | undefined {
    return this.offer;
  }

  get shownId(): string | undefined {
    return this.offer?.ids[this.index];
  }

  get shownText(): string | undefined {
    return this.offer?.texts[this.index];
  }

  /** Takes what the server answered, in the order that the editor gets; none of ours ends the offer. */
  take(offer: Offer): void {
    const shown = this.isAt(offer.uri, offer.version) ? this.shownText : undefined;
    this.offer = offer.ids.length > 0 ? offer : undefined;
    this.index = Math.max(0, shown === undefined ? 0 : offer.texts.indexOf(shown));
    const turns = offer.invoked ? this.turns : 0;
    this.turns = 0;
    this.turn(turns);
  }

  /**
   * The next (1) or the previous (-1) item, round and round.
   *
   * While there is only what typing brought, the editor asks for all first: then it is turned when
   * they come.
   */
  cycle(by: number): void {
    if (this.offer?.invoked === true) this.turn(by);
    else this.turns += by;
  }

  end(): void {
    this.offer = undefined;
    this.index = 0;
    this.turns = 0;
  }

  /** Whether the offer was made for this very text. */
  isAt(uri: string, version: number): boolean {
    return this.offer?.uri === uri && this.offer.version === version;
  }

  private turn(by: number): void {
    const count = this.offer?.ids.length ?? 0;
    if (count > 0) this.index = (((this.index + by) % count) + count) % count;
  }
}
