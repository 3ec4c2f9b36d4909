/**
 * Notices that the demo is asked to end: Ctrl-C, SIGTERM, a terminal that closes, a reader of its output that is gone, or an npm
 * that was ended and did not tell us (it signals the shell between us, which keeps the signal to itself).
 */

export class Interruption {
  readonly #asked = Promise.withResolvers<false>();
  readonly #parent = process.ppid;
  readonly #watch: NodeJS.Timeout | null;
  #isAsked = false;

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#ask);
    process.stdout.on('error', this.#end);
    // Started by a shell without npm, the demo may well outlive that shell: nohup, disown.
    const isByNpm = process.env['npm_lifecycle_event'] !== undefined;
    this.#watch = isByNpm ? setInterval(() => process.ppid !== this.#parent && this.#end(), PARENT_POLL_MS).unref() : null;
  }

  /** True when the work was done, false when the end was asked for before. Rejects as the work does. */
  orUntil(work: Promise<unknown>): Promise<boolean> {
    return Promise.race([this.#asked.promise, work.then(() => true)]);
  }

  get isAsked(): boolean {
    return this.#isAsked;
  }

  close(): void {
    if (this.#watch !== null) clearInterval(this.#watch);
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

const PARENT_POLL_MS = 250;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
