/** The data process's side of the preparer, the child that reads the configuration and compiles the policies (cli/prepare). */
import type { LoadedBundle } from '#authz/bundle/read.ts';
import type { PrepareAnswer, PrepareRequest } from '#proto/prepare.ts';
import { AskedChild } from './asked-child.ts';

export class Preparer {
  readonly #child: AskedChild<PrepareRequest, PrepareAnswer>;

  /** @param module  absolute path of the child's entry, `cli/prepare/main.ts` or its bundle */
  constructor(module: string, timeoutMs = 120_000) {
    this.#child = new AskedChild({ module, timeoutMs, flags: PREPARER_FLAGS, code: 'prepare' });
  }

  /** Reads and compiles everything that the configuration file names. One at a time in practice, see `ConfigWatch`. */
  prepare(file: string, lastBundle: LoadedBundle | null = null): Promise<PrepareAnswer> {
    return this.#child.ask((id) => ({ id, file, lastBundle }), `prepare "${file}"`);
  }

  /** Lets the child end and waits for it. */
  close(): Promise<void> {
    return this.#child.close();
  }
}

/**
 * The optimising compiler never earns its keep in so short a life: without it 1,000 rules cost a quarter less CPU time. A small young
 * generation that is used again and again, no threads for what one does as fast, and no collection of the old generation before
 * 96 MB: together a fifth less for 1,000 rules, as much for 10,000.
 */
const PREPARER_FLAGS = ['--max-opt=2', '--single-threaded', '--initial-heap-size=96', '--max-semi-space-size=4'];
