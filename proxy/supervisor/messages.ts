/**
 * What a supervisor and its workers say to each other, by `process.send` with advanced serialization. An upgrade starts workers of a
 * newer program under an older supervisor, so the protocol has a number.
 */
import type { GoodAnswer } from '../config/policy-feed.ts';
import type { Samples } from '../report/samples.ts';
import type { KeySetNews } from '#proto/key-sets.ts';
import type { PrepareAnswer } from '#proto/prepare.ts';

/** To be raised with every change that the other side would not understand. */
export const PROTOCOL = 2;

export type ToWorker =
  | {
      readonly kind: 'start';
      readonly protocol: number;
      /** The last good set with its configuration. */
      readonly answer: GoodAnswer;
      /** A newer one that was refused, or null. */
      readonly refused: PrepareAnswer | null;
      /** What is known of the key sets that it names. */
      readonly keys: readonly KeySetNews[];
      /** Accept nothing before every request can be judged: another process still serves. */
      readonly takesOver: boolean;
    }
  | { readonly kind: 'policy'; readonly answer: PrepareAnswer }
  /** A key set was fetched, or could not be. */
  | { readonly kind: 'keys'; readonly news: KeySetNews }
  /** Read the identity again and open the logs anew. */
  | { readonly kind: 'reload' }
  | { readonly kind: 'drain'; readonly hasSuccessor: boolean }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question };

/** What a worker is asked for: its counts, or the admin interface's answer to a URL. */
export type Question = { readonly what: 'samples' } | { readonly what: 'admin'; readonly url: string };

export type FromWorker =
  /** A token names a key of this source that is not known. */
  | { readonly kind: 'keys_wanted'; readonly source: string }
  /** Sent when it changes, and every second as a sign of life. */
  | { readonly kind: 'state'; readonly notReady: string | null }
  | { readonly kind: 'answer'; readonly id: number; readonly body: unknown }
  /** The last counts of a worker that ends. */
  | { readonly kind: 'counted'; readonly samples: Samples };

/** Whether this process was started by a supervisor. */
export function isWorker(): boolean {
  return process.env[WORKER_VARIABLE] !== undefined && process.send !== undefined;
}

export const WORKER_VARIABLE = 'POSTERN_WORKER';
