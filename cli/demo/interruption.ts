/** Notices that the demo is asked to end: Ctrl-C, SIGTERM, a terminal that closes, a reader of its output that is gone. */

export class Interruption {
  readonly #asked = Promise.withResolvers<false>();
  #isAsked = false;

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#ask);
    process.stdout.on('error', this.#end);
  }

  /** True when the work was done, false when the end was asked for before. Rejects as the work does. */
  orUntil(work: Promise<unknown>): Promise<boolean> {
    return Promise.race([this.#asked.promise, work.then(() => true)]);
  }

  get isAsked(): boolean {
    return this.#isAsked;
  }

  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#ask);
  }

  readonly #ask = (): void => {
    // Who asks twice does not want to wait; what is left is killed on the way out.
    if (this.#isAsked) process.exit(INTERRUPTED);
    this.#end();
  };

  readonly #end = (): void => {
    this.#isAsked = true;
    this.#asked.resolve(false);
  };
}

/** As a shell tells of SIGINT. */
export const INTERRUPTED = 130;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
