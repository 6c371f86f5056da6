/** When a server that died is started again. Pure: the clock comes in from outside. */

/** At most `most` restarts in `window` ms, each after a longer pause than the one before. */
export class Restarts {
  private times: number[] = [];

  constructor(
    private readonly most = 5,
    private readonly window = 180_000,
    private readonly first = 250,
  ) {}

  /** The pause in milliseconds before the next start, or undefined: it died too often. */
  next(now: number): number | undefined {
    this.times = this.times.filter((time) => now - time < this.window);
    if (this.times.length >= this.most) return undefined;
    const pause = this.first * 2 ** this.times.length;
    this.times.push(now);
    return pause;
  }

  forget(): void {
    this.times = [];
  }
}
