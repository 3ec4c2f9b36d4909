/**
 * What one evaluation may cost: fuel (instructions of a module, each step of a plan or of a builtin being many of them) and memory (bytes of what was
 * made, never given back within one evaluation). Whoever works in Rego's name pays here, and an evaluation that cannot pay ends.
 */

/** Why an evaluation was ended from within. It never leaves authz/opa: each becomes a denial with its code. */
export class OpaAbort extends Error {
  readonly code: 'opa_fuel' | 'opa_memory' | 'opa_conflict' | 'opa_abort';

  constructor(code: OpaAbort['code'], message: string) {
    super(message);
    this.name = 'OpaAbort';
    this.code = code;
  }
}

export class Meter {
  #fuel: number;
  #bytes: number;

  constructor(fuel: number, bytes: number) {
    this.#fuel = fuel;
    this.#bytes = bytes;
  }

  get fuel(): number {
    return this.#fuel;
  }

  /** Sets what is left, after a module has counted by itself. */
  refuel(fuel: number): void {
    this.#fuel = fuel;
  }

  /** Pays for steps of ours: each is a few nanoseconds, such as a look at a character or an element. */
  spend(steps: number): void {
    this.#fuel -= steps * INSTRUCTIONS_PER_STEP;
    if (this.#fuel < 0) throw new OpaAbort('opa_fuel', 'the evaluation took more steps than it may');
  }

  /** Pays for bytes that were, or are about to be, made; some work goes with them. */
  hold(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes < 0) throw new OpaAbort('opa_memory', 'the evaluation made more than it may');
    this.spend(bytes >>> 4);
  }
}

/**
 * A module pays at a function's entry for the whole of its body, of which it mostly runs little: some 15 of the instructions that are
 * paid for go into a nanosecond.
 */
const INSTRUCTIONS_PER_STEP = 64;
