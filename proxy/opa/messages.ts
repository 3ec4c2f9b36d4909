/** What the data path's loop and the thread beside it (office.ts) say to each other about one policy of OPA's. */
import type { EvaluatorAnswer } from '#authz/opa/evaluator.ts';
import type { OpaLimits } from '#authz/opa/limits.ts';
import type { OpaPolicy } from '#authz/opa/messages.ts';
import type { OpaAuthorizer } from '#proto/config/authorizers.ts';

export interface OfficeStart {
  readonly config: OpaAuthorizer;
  readonly limits: OpaLimits;
  /** What events and status documents say of this sidecar. */
  readonly labels: Readonly<Record<string, string>>;
  /** Whether other processes write to the same log files. */
  readonly isShared: boolean;
}

/** A policy that was read, verified and loaded once. */
export interface ProvedPolicy {
  readonly policy: OpaPolicy;
  readonly entrypoint: string;
  readonly revision: string;
  /** SHA-256 of the archive, in hex. */
  readonly digest: string;
  /** Bytes of the archive. */
  readonly size: number;
}

/** A decision as the loop tells it; the event is made of it elsewhere. */
export interface Decided {
  readonly decisionId: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly revision: string;
  readonly entrypoint: string;
  /** JSON. */
  readonly input: string;
  readonly answer: EvaluatorAnswer;
  readonly requestedBy: string;
  readonly timestampMs: number;
  readonly evaluationNs: number;
}

export type ToOffice =
  | { readonly type: 'decided'; readonly decided: Decided }
  /** What was sent as `policy` answers from now on. */
  | { readonly type: 'activated'; readonly digest: string }
  | { readonly type: 'reopen' }
  | { readonly type: 'close' };

export type FromOffice =
  | { readonly type: 'policy'; readonly proved: ProvedPolicy }
  /** What was fetched last is not taken, or could not be fetched; what is in force stays. */
  | { readonly type: 'refused'; readonly code: string; readonly message: string }
  /** Events were written. */
  | { readonly type: 'logged'; readonly bytes: number }
  | { readonly type: 'closed' };
