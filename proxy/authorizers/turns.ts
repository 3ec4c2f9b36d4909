/** Whose turn it is with an authorizer: how many may ask, and how many may gather a body to ask about. */

export class Turns {
  readonly #most: number;
  /** INVARIANT: at most `most`. */
  #asking = 0;
  /** INVARIANT: at most `most`. A caller that sends its body slowly is in nobody's way but of those that send one. */
  #gathering = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Requests that wait for an answer. */
  get asking(): number {
    return this.#asking;
  }

  /** A turn that asks at once or gathers first; null when there are too many. */
  take(gathers: boolean): Turn | null {
    if (gathers) return this.#gathering++ < this.#most ? new Turn(this, true) : this.#tooMany(true);
    return this.#asking++ < this.#most ? new Turn(this, false) : this.#tooMany(false);
  }

  /** For `Turn` alone. */
  left(wasGathering: boolean): void {
    if (wasGathering) this.#gathering--;
    else this.#asking--;
  }

  #tooMany(gathers: boolean): null {
    this.left(gathers);
    return null;
  }
}

export class Turn {
  readonly #turns: Turns;
  #isGathering: boolean;
  #isOver = false;

  constructor(turns: Turns, isGathering: boolean) {
    this.#turns = turns;
    this.#isGathering = isGathering;
  }

  /** What was gathered is asked about now; false when too many ask, and the turn is over. */
  asks(): boolean {
    if (!this.#isGathering) return true;
    this.end();
    if (this.#turns.take(false) === null) return false;
    this.#isGathering = false;
    this.#isOver = false;
    return true;
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#turns.left(this.#isGathering);
  }
}
