/**
 * What the data process and its preparer say to each other. The preparer is a child that reads and validates the configuration
 * and compiles the policies; it is started when something changed and ends when it has been idle, so that neither its memory
 * nor its CPU time is the data path's. Sent by `process.send` with advanced serialization.
 */
import type { CompiledPolicy } from '#authz/plan/compiled.ts';
import type { ProxyConfig } from './config/proxy.ts';

export interface PrepareRequest {
  readonly id: number;
  /** The `kind: Proxy` file, absolute. */
  readonly file: string;
}

/** Something wrong in a file, told so that its author can mend it. */
export interface DocumentFault {
  readonly file: string;
  /** From 1; 0 when the file as a whole is at fault. */
  readonly line: number;
  readonly column: number;
  /** `PN0203` and the like; docs/reference/messages.md. */
  readonly code: string;
  /** Path within the document, `spec.rules[0].to[0]`, or ''. */
  readonly path: string;
  /** What was found and what was wanted. */
  readonly message: string;
  readonly fix: string | null;
}

/** Why there is or is no policy: only `ok` has one, only `allow_all` lets requests pass without. */
export type PolicyState = 'ok' | 'missing' | 'invalid' | 'allow_all';

export interface PrepareAnswer {
  readonly id: number;
  /** Null when the file itself is at fault. */
  readonly config: ProxyConfig | null;
  readonly configFaults: readonly DocumentFault[];
  /** Null when there is no document (and `allowEmpty` is not said) or when `policyFaults` is not empty. */
  readonly policy: CompiledPolicy | null;
  readonly policyFaults: readonly DocumentFault[];
  /** `missing` is a source without a document, or none; `invalid` is any fault, one of the configuration included. */
  readonly policyState: PolicyState;
  /**
   * When policies that expire, begin or follow a schedule make another set of the same documents: prepare anew then, by the
   * system's clock. Milliseconds since 1970; null for never.
   */
  readonly policyValidUntilMs: number | null;
  /** Every file and folder that the answer was made from, absolute: what is to be watched. Never empty. */
  readonly watched: readonly string[];
  /** Milliseconds of CPU time that it took. */
  readonly cpuMs: number;
}
