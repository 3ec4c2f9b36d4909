/**
 * How often an exchange may be tried again, and how many retries may be under way: retries that come on top of a load that fails
 * already would finish it off. Hot path.
 */
import type { RetryConfig } from '#proto/config/proxy.ts';

export class RetryBudget {
  /** Exchanges under way, retries included. */
  inFlight = 0;
  /** Retries under way. */
  retrying = 0;
  /** Since start, for the metrics. */
  retries = 0;
  refusals = 0;
  readonly #config: RetryConfig;

  constructor(config: RetryConfig) {
    this.#config = config;
  }

  /** Whether an exchange that was tried again `tries` times may be tried once more. */
  admits(tries: number): boolean {
    if (tries >= this.#config.attempts) return false;
    // The exchange itself has just left the count.
    const most = ((this.inFlight + 1) * this.#config.budgetPercent) / 100;
    const isAdmitted = this.retrying < Math.max(ALWAYS, most);
    if (isAdmitted) this.retries++;
    else this.refusals++;
    return isAdmitted;
  }

  begun(tries: number): void {
    this.inFlight++;
    if (tries > 0) this.retrying++;
  }

  ended(tries: number): void {
    this.inFlight--;
    if (tries > 0) this.retrying--;
  }
}

/** Retries that the budget always allows, so that a quiet upstream has any. */
const ALWAYS = 3;
