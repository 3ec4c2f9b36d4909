/**
 * What a workload's RequestAuthentication rules come to, worked out once for each policy set: the places where tokens are looked for,
 * the rules that look there, and what each rule hands on to the app. As Istio reads them (JWTRule): a rule without a place of its own
 * looks at `Authorization: Bearer` and at the query parameter `access_token`.
 */
import { decision } from '#authz/engine/decisions.ts';
import type { Decision } from '#authz/engine/input.ts';
import type { SelectedJwtRule } from '#authz/policy/authentication.ts';
import { readKeySet, type KeySet } from '#certs/jwt/key-set.ts';
import type { TokenRules } from '#certs/jwt/verify-token.ts';
import { keySourceOf } from '#proto/key-sets.ts';
import { fieldId, nameBytes } from '#wire/h1/field-names.ts';
import type { KeptKeys, KeyStore } from './key-store.ts';

/** Where a token may stand. */
export interface TokenPlace {
  readonly kind: 'header' | 'parameter' | 'cookie';
  /** Of a header in lower case. */
  readonly name: string;
  /** The same of a header, as bytes, and its `FIELD` number. */
  readonly bytes: Uint8Array;
  readonly id: number;
  /** Of a header: what stands before the token, in lower case. */
  readonly prefix: string;
  /** The rules that look there, by their index. */
  readonly rules: readonly number[];
}

export interface PlannedRule {
  readonly rule: SelectedJwtRule;
  readonly verification: TokenRules;
  /** Keys that stand in the rule; null when they are fetched. */
  readonly inline: KeySet | null;
  /** Null when the keys stand in the rule. */
  readonly kept: KeptKeys | null;
  /** What is decided when the rule refuses. */
  readonly refusal: Decision;
}

export interface TokenPlan {
  readonly rules: readonly PlannedRule[];
  readonly places: readonly TokenPlace[];
  readonly hasParameters: boolean;
  readonly hasCookies: boolean;
  /** Fields that only we write, in lower case: what a caller sends under such a name never counts. */
  readonly handedOn: readonly Uint8Array[];
  /** Fields that a decision depends on, `handedOn` among them: nobody may shadow them or take them away. */
  readonly fieldNames: readonly string[];
}

/** @param leewayMs  by how much clocks may differ */
export function planTokens(rules: readonly SelectedJwtRule[], store: KeyStore, revision: string, leewayMs: number): TokenPlan {
  const places = new PlaceList();
  for (const [index, rule] of rules.entries()) {
    const { fromCookies, fromHeaders, fromParams } = rule;
    for (const { name, prefix } of fromHeaders) places.add('header', name.toLowerCase(), prefix.toLowerCase(), index);
    for (const name of fromParams) places.add('parameter', name, '', index);
    for (const name of fromCookies) places.add('cookie', name, '', index);
    if (fromHeaders.length + fromParams.length + fromCookies.length > 0) continue;
    places.add('header', 'authorization', 'bearer ', index);
    places.add('parameter', 'access_token', '', index);
  }
  const handedOn = [...new Set(rules.flatMap(outputNames))];
  const headers = places.all.filter(({ kind }) => kind === 'header').map(({ name }) => name);
  return {
    rules: rules.map((rule) => {
      const source = keySourceOf(rule);
      return {
        rule,
        verification: { issuer: rule.issuer, audiences: rule.audiences, leewayMs },
        inline: rule.jwks === null ? null : readKeySet(rule.jwks),
        kept: source === null ? null : store.of(source.id),
        refusal: decision('deny', 'token_refused', revision, rule.policy),
      };
    }),
    places: places.all,
    hasParameters: places.all.some(({ kind }) => kind === 'parameter'),
    hasCookies: places.all.some(({ kind }) => kind === 'cookie'),
    handedOn: handedOn.map(nameBytes),
    fieldNames: [...new Set([...handedOn, ...headers])],
  };
}

/** Fields that a rule has us write, in lower case. */
export function outputNames({ outputClaimToHeaders, outputPayloadToHeader }: SelectedJwtRule): readonly string[] {
  const names = outputClaimToHeaders.map(({ header }) => header.toLowerCase());
  return outputPayloadToHeader === null ? names : [outputPayloadToHeader.toLowerCase(), ...names];
}

/** Each place once, with all the rules that look there. */
class PlaceList {
  readonly all: (TokenPlace & { readonly rules: number[] })[] = [];

  add(kind: TokenPlace['kind'], name: string, prefix: string, rule: number): void {
    const known = this.all.find((place) => place.kind === kind && place.name === name && place.prefix === prefix);
    if (known !== undefined) {
      if (!known.rules.includes(rule)) known.rules.push(rule);
      return;
    }
    const bytes = nameBytes(name);
    this.all.push({ kind, name, bytes, id: fieldId(bytes, 0, bytes.length), prefix, rules: [rule] });
  }
}
