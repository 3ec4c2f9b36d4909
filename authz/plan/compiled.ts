/** What the compiler hands to whoever loads it: plain data that survives a process boundary. */

/** One outcome that a module can name. */
export interface CompiledRule {
  /** `namespace/name`. */
  readonly policy: string;
  readonly rule: string;
}

/** A policy set compiled for one workload. */
export interface CompiledPolicy {
  /** `sha256:…` over everything that decides, so equal sets have equal revisions. */
  readonly revision: string;
  readonly wasm: Uint8Array;
  /** Rules by the number that the module answers with. */
  readonly rules: readonly CompiledRule[];
  readonly headerNames: readonly string[];
  /** Documents that were read, and those whose policy selects the workload. */
  readonly documents: number;
  readonly selected: number;
  /** The model behind it as raw-deflated JSON, for `explain`; see authz/engine/explain.ts. */
  readonly model: Uint8Array;
}
