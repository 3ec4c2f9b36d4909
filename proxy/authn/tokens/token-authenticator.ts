/**
 * Proves who the user of a request is, by the RequestAuthentication rules of the workload, as Istio and its Envoy do: a rule passes when
 * every token in its places is valid by it, is silent when there is none, and fails otherwise; the request passes when any rule does or
 * when all are silent. A rule that is required has to pass. Verification is synchronous, so that no request waits; keys that are not
 * known are a refusal, never a pause.
 *
 * Hot path: a token that was proved before costs a look-up.
 */
import type { Decision, Token } from '#authz/engine/input.ts';
import type { JwtCode } from '#certs/jwt/codes.ts';
import { jsonObject, readCompactJws } from '#certs/jwt/compact-jws.ts';
import { verifyToken } from '#certs/jwt/verify-token.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import { isFoldedOneOf } from '../../http/folded-name.ts';
import { claimFields } from './claim-fields.ts';
import {
  dropHeaderTokens,
  FoundTokens,
  isPreflight,
  MAX_TOKENS,
  queryWithout,
  withoutCookies,
  type WrittenField,
} from './found-tokens.ts';
import { ProofCache, type TokenCounts, type TokenProof } from './proof-cache.ts';
import type { PlannedRule, TokenPlan } from './token-plan.ts';

export interface AuthenticatorOptions {
  readonly plan: TokenPlan;
  readonly keyMaxAgeMs: number;
  readonly counts: TokenCounts;
}

export class TokenAuthenticator {
  readonly plan: TokenPlan;
  // What the last `authenticate` found; valid until the next.
  /** The decision of a refusal. */
  refusal: Decision | null = null;
  /** Tokens that were proved. */
  tokens: readonly Token[] = NO_TOKENS;
  /** Wall clock milliseconds at which the first of them is over. */
  validUntilMs = Infinity;
  /** Fields that go to the app, and that policy reads, beside those of the head. */
  fields: readonly WrittenField[] = NO_FIELDS;
  /** What follows the path once the tokens are out of the query; null when the query stays. */
  query: string | null = null;

  readonly #keyMaxAgeMs: number;
  readonly #counts: TokenCounts;
  readonly #cache = new ProofCache();
  readonly #found = new FoundTokens();
  readonly #proofs: TokenProof[] = [];
  /** Of each place, whether its tokens are taken out. */
  readonly #isTaken: Uint8Array;
  readonly #states: (JwtCode | 'passed' | 'silent')[];

  constructor({ counts, keyMaxAgeMs, plan }: AuthenticatorOptions) {
    this.plan = plan;
    this.#keyMaxAgeMs = keyMaxAgeMs;
    this.#counts = counts;
    this.#isTaken = new Uint8Array(plan.places.length);
    this.#states = plan.rules.map(() => 'silent');
  }

  /**
   * Judges the tokens of a head whose fields are filtered, and marks the fields that are not to be forwarded: what only we may write,
   * and tokens that end here.
   *
   * @returns why the request is refused, or null
   */
  authenticate(head: RequestHead, nowMs: number): JwtCode | null {
    this.refusal = null;
    this.tokens = NO_TOKENS;
    this.validUntilMs = Infinity;
    this.fields = NO_FIELDS;
    this.query = null;
    const { handedOn } = this.plan;
    if (handedOn.length > 0) dropHandedOn(head, handedOn);
    if (head.method === 'OPTIONS' && isPreflight(head)) return null;
    this.#found.find(head, this.plan);
    if (this.#found.count > MAX_TOKENS) return this.#refuse(0, 'jwt_too_many');
    for (let index = 0; index < this.#found.count; index++) {
      this.#proofs[index] = this.#proof(this.#found.texts[index] ?? '', nowMs);
    }
    const code = this.#judge(nowMs);
    if (code !== null) return code;
    if (this.#found.count === 0) return null;
    this.#noteProved();
    if (lengthOf(this.fields) > FIELDS_MAX) return this.#refuse(0, 'jwt_too_large');
    this.#takeOut(head);
    return null;
  }

  #judge(nowMs: number): JwtCode | null {
    const { rules } = this.plan;
    let hasPassed = false;
    let failed = -1;
    for (let index = 0; index < rules.length; index++) {
      const state = this.#stateOf(index, nowMs);
      this.#states[index] = state;
      if (state === 'passed') hasPassed = true;
      // That a token is another rule's says less than what is wrong with it.
      else if (state !== 'silent' && (failed < 0 || this.#states[failed] === 'jwt_issuer')) failed = index;
    }
    const why = this.#states[failed];
    if (!hasPassed && why !== undefined && why !== 'passed' && why !== 'silent') return this.#refuse(failed, why);
    for (let index = 0; index < rules.length; index++) {
      if (rules[index]?.rule.isRequired !== true) continue;
      const state = this.#states[index];
      if (state === 'silent') return this.#refuse(index, 'jwt_missing');
      if (state !== undefined && state !== 'passed') return this.#refuse(index, state);
    }
    return null;
  }

  #stateOf(rule: number, nowMs: number): JwtCode | 'passed' | 'silent' {
    let state: 'passed' | 'silent' = 'silent';
    for (let index = 0; index < this.#found.count; index++) {
      const proof = this.#proofs[index];
      if (proof === undefined || !this.#looksAt(rule, index)) continue;
      const code = this.#codeOf(proof, rule, nowMs);
      if (code !== null) return code;
      state = 'passed';
    }
    return state;
  }

  #codeOf(proof: TokenProof, rule: number, nowMs: number): JwtCode | null {
    const code = proof.codes[rule];
    if (code === undefined) return 'jwt_issuer';
    if (code !== null) return code;
    if (nowMs >= proof.expiresMs) return 'jwt_expired';
    const kept = this.plan.rules[rule]?.kept ?? null;
    return kept !== null && nowMs - kept.fetchedMs >= this.#keyMaxAgeMs ? 'jwt_keys_stale' : null;
  }

  #looksAt(rule: number, token: number): boolean {
    return this.plan.places[this.#found.places[token] ?? 0]?.rules.includes(rule) === true;
  }

  #proof(text: string, nowMs: number): TokenProof {
    const known = this.#cache.get(text);
    if (known !== undefined) {
      this.#counts.hits++;
      if (nowMs >= known.expiresMs) this.#cache.forget(text);
      return known;
    }
    this.#counts.misses++;
    const proof = proveToken(text, this.plan.rules, nowMs);
    // What nobody signed would only push out what somebody did.
    if (proof.tokens.length > 0) this.#cache.add(text, proof);
    return proof;
  }

  /** Gathers what the rules that passed have proved. */
  #noteProved(): void {
    for (let rule = 0; rule < this.#states.length; rule++) {
      if (this.#states[rule] !== 'passed') continue;
      for (let index = 0; index < this.#found.count; index++) {
        const proof = this.#proofs[index];
        if (proof === undefined || !this.#looksAt(rule, index)) continue;
        this.tokens = joined(this.tokens, proof.tokens);
        if (proof.expiresMs < this.validUntilMs) this.validUntilMs = proof.expiresMs;
        this.fields = joinedFields(this.fields, proof.fields[rule] ?? NO_FIELDS);
      }
    }
  }

  #takeOut(head: RequestHead): void {
    const { places, rules } = this.plan;
    this.#isTaken.fill(0);
    let takesParameter = false;
    let takesCookie = false;
    for (let index = 0; index < this.#found.count; index++) {
      const at = this.#found.places[index] ?? 0;
      const place = places[at];
      if (place === undefined || this.#isTaken[at] === 1 || this.#isForwarded(place.rules, rules)) continue;
      this.#isTaken[at] = 1;
      if (place.kind === 'header') dropHeaderTokens(head, place);
      else if (place.kind === 'parameter') takesParameter = true;
      else takesCookie = true;
    }
    if (takesParameter) this.query = queryWithout(head, places, this.#isTaken);
    if (!takesCookie) return;
    const rest = withoutCookies(head, places, this.#isTaken);
    if (rest !== null && rest !== '') this.fields = [...this.fields, ['cookie', rest]];
  }

  /** The first rule that has proved what stands there says so; where none has, all that look there have to. */
  #isForwarded(looking: readonly number[], rules: readonly PlannedRule[]): boolean {
    for (const index of looking) {
      if (this.#states[index] === 'passed') return rules[index]?.rule.forwardOriginalToken === true;
    }
    for (const index of looking) if (rules[index]?.rule.forwardOriginalToken !== true) return false;
    return true;
  }

  #refuse(rule: number, code: JwtCode): JwtCode {
    this.refusal = this.plan.rules[rule]?.refusal ?? null;
    return code;
  }
}

/** Verifies a token by every rule of its issuer. A key that is not known is asked for. */
function proveToken(text: string, rules: readonly PlannedRule[], nowMs: number): TokenProof {
  const jws = readCompactJws(text);
  if (typeof jws === 'string') return refused(rules, jws);
  const claims = jsonObject(jws.payload);
  if (claims === null) return refused(rules, 'jwt_malformed');
  const codes: (JwtCode | null)[] = [];
  const fields: (readonly WrittenField[])[] = [];
  let tokens = NO_TOKENS;
  let expiresMs = Infinity;
  for (const { inline, kept, rule, verification } of rules) {
    if (rule.issuer !== claims['iss']) {
      codes.push('jwt_issuer');
      fields.push(NO_FIELDS);
      continue;
    }
    const result = verifyToken(text, kept === null ? inline : kept.keys, verification, nowMs);
    codes.push(result.ok ? null : result.code);
    fields.push(result.ok ? claimFields(rule, result.token.claims, text) : NO_FIELDS);
    if (!result.ok) {
      if (result.code === 'jwt_key_unknown' && kept !== null) kept.want();
    } else if (tokens.length === 0) {
      tokens = Object.freeze([result.token]);
      ({ expiresMs } = result.token);
    }
  }
  return { codes, tokens, fields, expiresMs };
}

function refused(rules: readonly PlannedRule[], code: JwtCode): TokenProof {
  return { codes: rules.map(() => code), tokens: NO_TOKENS, fields: [], expiresMs: Infinity };
}

function dropHandedOn({ bytes, fields: { count, dropped, ranges } }: RequestHead, names: readonly Uint8Array[]): void {
  for (let field = 0; field < count; field++) {
    if (isFoldedOneOf(bytes, ranges[4 * field] ?? 0, ranges[4 * field + 1] ?? 0, names)) dropped[field] = 1;
  }
}

/** A token that stands in two places, or that two rules take, is one. */
function joined(before: readonly Token[], next: readonly Token[]): readonly Token[] {
  if (before.length === 0) return next;
  const [token] = next;
  return token === undefined || before.includes(token) ? before : [...before, token];
}

/** Of two values for one field the first is written: an app takes which it likes of two. */
function joinedFields(before: readonly WrittenField[], next: readonly WrittenField[]): readonly WrittenField[] {
  if (before.length === 0 || next.length === 0 || before === next) return before.length === 0 ? next : before;
  return [...before, ...next.filter(([name]) => !before.some((field) => field[0] === name))];
}

function lengthOf(fields: readonly WrittenField[]): number {
  let length = 0;
  for (let index = 0; index < fields.length; index++)
    length += (fields[index]?.[0].length ?? 0) + (fields[index]?.[1].length ?? 0);
  return length;
}

/** All that is handed on has to fit into one head. */
const FIELDS_MAX = 32 * 1024;
const NO_TOKENS: readonly Token[] = Object.freeze([]);
const NO_FIELDS: readonly WrittenField[] = Object.freeze([]);
