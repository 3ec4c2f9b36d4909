/** What an evaluator and its worker say to each other. */
import type { OpaLimits } from './limits.ts';
import type { OpaDenied } from './outcome.ts';

/** A policy, ready to be loaded; what was read of a bundle that was found good. */
export interface OpaPolicy {
  readonly kind: 'wasm' | 'plan';
  readonly bytes: Uint8Array;
  /** The data document, as JSON. */
  readonly data: string;
}

export interface WorkerStart {
  readonly policy: OpaPolicy;
  readonly limits: OpaLimits;
}

export interface WorkerQuestion {
  readonly id: number;
  readonly entrypoint: string;
  readonly input: string;
  readonly nowNs: bigint;
}

export type WorkerAnswer =
  | { readonly type: 'ready' }
  /** `json` is the value that the policy gave. */
  | { readonly type: 'answer'; readonly id: number; readonly outcome: { readonly ok: true; readonly json: string } | OpaDenied };
