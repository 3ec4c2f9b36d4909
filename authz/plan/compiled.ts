/** What the compiler hands to whoever loads it: plain data that survives a process boundary. */

/** One outcome that a module can name. */
export interface CompiledRule {
  /** `namespace/name`. */
  readonly policy: string;
  readonly rule: string;
}

/** Where a value comes from that a module reads. Names of headers in lower case; claims by their path. */
export type SlotSource =
  | { readonly kind: ConnectionSlot }
  | { readonly kind: 'method' | 'authority' | 'path' }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'requestPrincipal' | 'audiences' | 'presenter' }
  | { readonly kind: 'claim'; readonly path: readonly string[] };

/**
 * Attributes of a connection. `principal` is without its scheme. `namespace` and `account` (`ns/sa`) are there only for an own
 * identity of the form `/ns/NS/sa/SA`; `anyNamespace` and `anyAccount` are lists of all that a path could be taken to name, for
 * rules where matching more is the safe side.
 */
export type ConnectionSlot =
  | 'principal'
  | 'trustDomain'
  | 'namespace'
  | 'account'
  | 'anyNamespace'
  | 'anyAccount'
  | 'sourceIp'
  | 'remoteIp'
  | 'destinationIp'
  | 'destinationPort'
  | 'sni';

/** A slot of the module: its descriptor and the cells that classification fills, as indices of 32-bit words. */
export interface CompiledSlot {
  readonly source: SlotSource;
  /** Address to pass to `classify`. */
  readonly descriptor: number;
  readonly cellStart: number;
  readonly cellEnd: number;
  /** Words that hold the length of a list, to be zeroed before a new value. Empty for a slot of one value. */
  readonly listCells: readonly number[];
}

/** How a module's memory is used. */
export interface ModuleLayout {
  /** Slots of the connection first, in order of their cells. */
  readonly slots: readonly CompiledSlot[];
  /** Where values are written before they are classified. */
  readonly scratchStart: number;
  readonly scratchBytes: number;
}

/** A policy set compiled for one workload. */
export interface CompiledPolicy {
  /** `sha256:…` over everything that decides, so equal sets have equal revisions. */
  readonly revision: string;
  readonly wasm: Uint8Array;
  readonly layout: ModuleLayout;
  /** Rules by the number that the module answers with. */
  readonly rules: readonly CompiledRule[];
  readonly headerNames: readonly string[];
  /** Own trust domain first, then its aliases. */
  readonly trustDomains: readonly string[];
  /** Documents that were read, and those whose policy selects the workload. */
  readonly documents: number;
  readonly selected: number;
  /** Most clauses that one decision can come to look at. */
  readonly longestScan: number;
  /** The model behind it as raw-deflated JSON, for `explain`; see authz/engine/explain.ts. */
  readonly model: Uint8Array;
}
