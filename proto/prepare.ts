/**
 * What the data process and its preparer say to each other. The preparer is a child that reads and validates the configuration
 * and compiles the policies; it is started when something changed and ends when it has been idle, so that neither its memory
 * nor its CPU time is the data path's. Sent by `process.send` with advanced serialization.
 */
import type { LoadedBundle } from '#authz/bundle/read.ts';
import type { CompiledPolicy } from '#authz/plan/compiled.ts';
import type { ProxyConfig } from './config/proxy.ts';

export interface PrepareRequest {
  readonly id: number;
  /** The `kind: Proxy` file, absolute. */
  readonly file: string;
  /** The bundle of the highest revision that was put in force so far, or null. */
  readonly lastBundle: LoadedBundle | null;
}

/** Something wrong in a file, told so that its author can mend it. */
export interface DocumentFault {
  readonly file: string;
  /** From 1; 0 when the file as a whole is at fault. */
  readonly line: number;
  readonly column: number;
  /** `PN0203` and the like, docs/reference/messages.md; of bundles `bundle_signature` and the like, docs/bundles.md. */
  readonly code: string;
  /** Path within the document, `spec.rules[0].to[0]`, or ''. */
  readonly path: string;
  /** What was found and what was wanted. */
  readonly message: string;
  readonly fix: string | null;
}

/** Why there is or is no policy: only `ok` has one, only `allow_all` lets requests pass without. `expired` is a bundle past its time. */
export type PolicyState = 'ok' | 'missing' | 'invalid' | 'expired' | 'allow_all';

/** The signed bundle that a policy came from. */
export interface BundleFacts extends LoadedBundle {
  /** Of its signer: the SHA-256 of the public key, in hex. */
  readonly keyId: string;
  /** Milliseconds since 1970. */
  readonly notBeforeMs: number;
}

export interface PrepareAnswer {
  readonly id: number;
  /** Null when the file itself is at fault. */
  readonly config: ProxyConfig | null;
  readonly configFaults: readonly DocumentFault[];
  /** Null when there is no document (and `allowEmpty` is not said), or when what there is was refused and no good copy is kept. */
  readonly policy: CompiledPolicy | null;
  readonly policyFaults: readonly DocumentFault[];
  /** `missing` is a source without a document, or none; `invalid` is any fault, one of the configuration included. */
  readonly policyState: PolicyState;
  /** Null for a policy that was compiled from files. */
  readonly bundle: BundleFacts | null;
  /** It is the copy in `lastKnownGood`, because the source is missing or refused; then `policyFaults` says why. */
  readonly isKeptCopy: boolean;
  /** When the policy is in force no more and everything is denied, milliseconds since 1970; null for never. */
  readonly policyExpiresMs: number | null;
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
