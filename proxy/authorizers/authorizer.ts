/**
 * What an external authorizer is to the data path: somebody who is asked about one request and answers once, or is given up. How it
 * is asked is its own business; what its answer may change is bounded by changes.ts.
 */
import type { OpaDenialCode } from '#authz/opa/outcome.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import type { Exchange } from '../exchange.ts';

/** Name and value as they stand in a head, one character a byte. */
export type FieldPair = readonly [name: string, value: string];

/** What an answer that allows wants changed. */
export interface Changes {
  /** Fields that replace every one of the name. */
  readonly set: readonly FieldPair[];
  /** Values put behind what the caller sent; of a name that it did not send nothing is added, as Envoy does. */
  readonly append: readonly FieldPair[];
  readonly remove: readonly string[];
  /** Fields added to the response. */
  readonly respond: readonly FieldPair[];
  readonly setQuery: readonly FieldPair[];
  readonly removeQuery: readonly string[];
}

/** A denial in the authorizer's own words. */
export interface Denial {
  readonly status: number;
  /** Field lines, each with its CRLF, filtered. */
  readonly fields: string;
  readonly body: Buffer;
}

/** Why there is no answer; codes of decisions (authz/engine/input.ts). */
export type NoAnswer = 'provider_unavailable' | 'provider_timeout' | 'provider_overloaded' | 'provider_error' | OpaDenialCode;

/** `detail` goes to the log, '' for none. */
export type Answer =
  | { readonly kind: 'allow'; readonly changes: Changes | null }
  /** `denial` is null for an ordinary one. */
  | { readonly kind: 'deny'; readonly denial: Denial | null; readonly detail: string }
  | { readonly kind: 'none'; readonly code: NoAnswer; readonly detail: string };

export interface Question {
  readonly exchange: Exchange;
  /** Filtered; what is dropped is not told. */
  readonly head: RequestHead;
  /** The whole body when it is asked about, else null. */
  readonly body: Buffer | null;
}

/** A question under way. */
export interface Asked {
  /** Nobody waits for the answer any more, and none is given. */
  abort(): void;
}

export interface Authorizer {
  readonly name: string;
  /** Longest body that is asked about; 0 for none. */
  readonly bodyBytes: number;
  readonly failOpen: boolean;
  readonly statusOnError: number;
  /** Changes when its answers may be others from now on, as far as that is known. */
  readonly generation: number;
  /** Asks about what is read within this call; `answered` is called once, never within this call. */
  ask(question: Question, answered: (answer: Answer) => void): Asked;
}

export const NO_CHANGES: Changes = { set: [], append: [], remove: [], respond: [], setQuery: [], removeQuery: [] };
