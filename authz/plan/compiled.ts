/** What the compiler hands to whoever loads it: plain data that survives a process boundary. */

import type { DecisionCode } from '../engine/input.ts';
import type { SelectedJwtRule } from '../policy/authentication.ts';
import type { SpaceDelimitedClaims } from '../policy/workload-policies.ts';

/** One outcome that a module can name. */
export interface CompiledOutcome {
  /** `none_selected`: no policy selects the workload, and the loader says what then. */
  readonly code: DecisionCode | 'none_selected';
  readonly effect: 'allow' | 'deny';
  /** `namespace/name`, or null where no policy decides. */
  readonly policy: string | null;
  readonly rule: string | null;
}

/** A policy that is told beside the decision: one that audits, or one that is not enforced. */
export interface ReportedPolicy {
  readonly policy: string;
  readonly mode: 'enforce' | 'audit' | 'learn';
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';
  readonly provider: string | null;
  /** Names by number. */
  readonly rules: readonly string[];
}

/** Where a value comes from that a module reads. Names of headers in lower case; claims by their path. */
export type SlotSource =
  | { readonly kind: ConnectionSlot }
  | { readonly kind: 'method' | 'authority' | 'path' | 'query' }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'requestPrincipal' | 'issuer' | 'subject' | 'audiences' | 'presenter' }
  | { readonly kind: 'claim'; readonly path: readonly string[] }
  | { readonly kind: 'tag'; readonly name: string }
  /** What an external authorizer answered: `allow` or `deny`. */
  | { readonly kind: 'provider'; readonly name: string };

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
  | 'sni'
  | 'tls'
  | 'protocol';

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

/** A stage of a decision, as the module does it: authz/wasm/memory-map.ts. */
export interface CompiledStage {
  /** Address of its index. */
  readonly index: number;
  /** What it answers when nothing matches. */
  readonly otherwise: number;
  /** Number of the stage that an answer may lead to. */
  readonly jump: number;
}

/** Stages of a decision, and where the reported policies are judged. */
export interface CompiledProgram {
  readonly stages: readonly CompiledStage[];
  /** Address of the index of reported policies, 0 for none. */
  readonly reports: number;
}

/** How a module's memory is used. */
export interface ModuleLayout {
  /** Slots of the connection first, in order of their cells. */
  readonly slots: readonly CompiledSlot[];
  readonly http: CompiledProgram;
  readonly tcp: CompiledProgram;
  /** Index of the first word of the reports: of each reported policy the number of the rule that matched, from 1. */
  readonly reportStart: number;
  /** Where values are written before they are classified. */
  readonly scratchStart: number;
  readonly scratchBytes: number;
}

/** What a decision can cost at worst, known before any is made. */
export interface PlanBounds {
  readonly strategy: 'index' | 'forest';
  /** Most clauses that one decision can come to look at. */
  readonly longestScan: number;
  /** Most comparisons that one decision can make once its values are classified. */
  readonly steps: number;
  /** Automata that a value is run through, each one step a byte, for the attribute that has most. */
  readonly automata: number;
}

/** A policy set compiled for one workload. */
export interface CompiledPolicy {
  /** `sha256:…` over everything that decides, so equal sets have equal revisions. */
  readonly revision: string;
  readonly wasm: Uint8Array;
  readonly layout: ModuleLayout;
  /** By the number that the module answers with, from 1; null where no answer ends a decision. */
  readonly outcomes: readonly (CompiledOutcome | null)[];
  readonly reports: readonly ReportedPolicy[];
  readonly ruleCount: number;
  /** Claims that are lists of words, beside `scope` and `permission`. */
  readonly spaceDelimitedClaims: readonly SpaceDelimitedClaims[];
  readonly headerNames: readonly string[];
  /** Whose tokens the workload takes, for whoever proves them before the engine is asked. */
  readonly jwtRules: readonly SelectedJwtRule[];
  /** Own trust domain first, then its aliases. */
  readonly trustDomains: readonly string[];
  /** Nothing says anything about the workload: not even its peer's identity is looked at. */
  readonly isEmpty: boolean;
  /** Documents that were read, and those whose policy selects the workload. */
  readonly documents: number;
  readonly selected: number;
  readonly bounds: PlanBounds;
  /** The model behind it as raw-deflated JSON, for `explain`; see authz/engine/explain.ts. */
  readonly model: Uint8Array;
}
