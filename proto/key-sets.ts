/**
 * Key sets of issuers: where they come from, and what the process that fetches them (proxy/key-sets) says to the one that needs them.
 * Sent by `process.send` with advanced serialization; keys travel as the text of a JWKS that was read once already.
 */
import type { JwtRule } from '#authz/policy/authentication.ts';

/** A key set that has to be fetched. */
export interface KeySource {
  /** Names it in messages, logs and metrics: its URL, or `openid:` and the issuer whose OpenID configuration tells it. */
  readonly id: string;
  readonly issuer: string;
  /** Null: the issuer's OpenID configuration says where. */
  readonly jwksUri: string | null;
  /** For all of a fetch. */
  readonly timeoutMs: number;
}

export interface KeySetRequest {
  readonly id: number;
  readonly source: KeySource;
  /** Hosts that may lie at private addresses, in lower case. */
  readonly privateHosts: readonly string[];
  /** File of certificate authorities (PEM) that are believed beside those of the runtime, or null. */
  readonly authorities: string | null;
}

export interface KeySetAnswer {
  readonly id: number;
  /** Text of a JWKS with at least one usable key; null when `fault` says why there is none. */
  readonly keys: string | null;
  readonly fault: KeySetFault | null;
  /** More about the fault, for the log. */
  readonly detail: string;
}

/** What the data processes are told of a source after each fetch. */
export interface KeySetNews {
  readonly source: string;
  /** The last good set, also when this fetch failed; null when there never was one. */
  readonly keys: string | null;
  /** Wall clock milliseconds at which `keys` were fetched; 0 without. */
  readonly fetchedMs: number;
  readonly fault: KeySetFault | null;
}

/** Where the keys of a rule come from; null for those that stand in the rule itself. */
export function keySourceOf(rule: Pick<JwtRule, 'issuer' | 'jwks' | 'jwksUri' | 'timeoutMs'>): KeySource | null {
  const { issuer, jwks, jwksUri, timeoutMs } = rule;
  return jwks === null ? { id: jwksUri ?? `openid:${issuer}`, issuer, jwksUri, timeoutMs } : null;
}

/** Every source once; of several timeouts the longest counts. */
export function keySourcesOf(rules: readonly JwtRule[]): readonly KeySource[] {
  const sources = new Map<string, KeySource>();
  for (const rule of rules) {
    const source = keySourceOf(rule);
    if (source === null) continue;
    const known = sources.get(source.id);
    if (known === undefined || known.timeoutMs < source.timeoutMs) sources.set(source.id, source);
  }
  return [...sources.values()];
}

/** Why a key set could not be had. */
export const KEY_SET_FAULTS = {
  key_set_url: 'The URL is not one of https without user and fragment.',
  key_set_address: 'The host has a private, local or reserved address, and the configuration does not name it.',
  key_set_unreachable: 'The host is not known, or no connection came about.',
  key_set_timeout: 'The answer was not complete in time.',
  key_set_status: 'The answer has another status than 200; redirects are not followed.',
  key_set_type: 'The answer is not of a JSON type.',
  key_set_size: 'The answer is larger than 1 MiB.',
  key_set_malformed: 'The answer is no JWKS, or has two keys of one id.',
  key_set_empty: 'None of its keys can be used to verify signatures.',
  key_set_discovery: 'The OpenID configuration of the issuer names another issuer, or no key set.',
  key_set_process: 'The process that fetches ended or gave no answer.',
} as const;

export type KeySetFault = keyof typeof KEY_SET_FAULTS;
