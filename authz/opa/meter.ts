/**
 * What one evaluation may cost: fuel (steps of the program, with the work of builtins counted in) and memory (bytes of what was
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

  /** Pays for steps. */
  spend(steps: number): void {
    this.#fuel -= steps;
    if (this.#fuel < 0) throw new OpaAbort('opa_fuel', 'the evaluation took more steps than it may');
  }

  /** Pays for bytes that were, or are about to be, made; some work goes with them. */
  hold(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes < 0) throw new OpaAbort('opa_memory', 'the evaluation made more than it may');
    this.spend(bytes >>> 4);
  }
}
