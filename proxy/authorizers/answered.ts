/**
 * What an authorizer answered to a request that it let in, and whether that still holds: one whose policy is another by now is asked
 * again about what is open, and its no ends it. INVARIANT: no answer is none that lasts: what cannot be answered anew within a bound is
 * a no.
 */
import type { Decision, Providers } from '#authz/engine/input.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import type { Exchange } from '../exchange.ts';
import type { Answer, Authorizer, Changes } from './authorizer.ts';
import { withCode } from './denials.ts';

export class Answered {
  readonly providers: Providers;
  readonly changes: Changes;
  /** The decision that ends the exchange; null while it may go on. */
  denial: Decision | null = null;
  readonly #authorizer: Authorizer;
  readonly #asking: Decision;
  /** Of the exchange when it was asked about. */
  readonly #target: string;
  #generation: number;
  #isAsked = false;
  /** Since when there is no answer anew, in the clock's time; 0 for never. */
  #sinceMs = 0;

  constructor(authorizer: Authorizer, asking: Decision, changes: Changes, target: string) {
    this.providers = { [authorizer.name]: 'allow' };
    this.changes = changes;
    this.#authorizer = authorizer;
    this.#asking = asking;
    this.#target = target;
    this.#generation = authorizer.generation;
  }

  /** Whether the authorizer has to be asked again. A body that it was asked about is gone, and its answer holds. */
  isStale({ tunnel }: Exchange): boolean {
    if (this.#isAsked || this.#generation === this.#authorizer.generation) return false;
    return tunnel !== '' || this.#authorizer.bodyBytes === 0;
  }

  /** Asks about an open exchange again; `head` is filtered, and read no more when this returns. */
  askAgain(exchange: Exchange, head: RequestHead, nowMs: number): void {
    const { generation } = this.#authorizer;
    const { rewrittenTarget } = exchange;
    this.#isAsked = true;
    if (this.#sinceMs === 0) this.#sinceMs = nowMs;
    exchange.rewrittenTarget = this.#target;
    this.#authorizer.ask({ exchange, head, body: null }, (answer) => this.#hear(answer, generation, nowMs));
    exchange.rewrittenTarget = rewrittenTarget;
  }

  #hear(answer: Answer, generation: number, nowMs: number): void {
    this.#isAsked = false;
    if (answer.kind === 'allow') {
      this.#generation = generation;
      this.#sinceMs = 0;
    } else if (answer.kind === 'deny') this.denial = withCode(this.#asking, 'denied_by_provider');
    // Many are asked about at once, and a thread may be about to be replaced: the next round asks again.
    else if (nowMs - this.#sinceMs >= PATIENCE_MS) this.denial = withCode(this.#asking, answer.code);
  }
}

const PATIENCE_MS = 5_000;
