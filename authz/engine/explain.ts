/**
 * Why a decision came out as it did: the rule that decided, or the rule that came nearest to allowing and what it missed. Works
 * from a compiled set's model alone, so that it can be asked later and in another process.
 */
import { inflateRawSync } from 'node:zlib';

import type { Policy, Position, Rule } from '../policy/model.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import { policyTitle } from '../policy/model.ts';
import type { AuthzInput, Token } from './input.ts';
import { brokenParametersText } from './explain-parameters.ts';
import { interpret, ruleParts } from './interpreter.ts';
import type { PartResult } from './interpreter-istio.ts';
import type { WhenNoneSelects } from './decisions.ts';

export interface Explanation {
  readonly effect: 'allow' | 'deny';
  readonly code: string;
  /** The rule that decided, if one did. */
  readonly matched: RuleReference | null;
  /** The ALLOW rule that missed least, for a request that none allowed. */
  readonly nearest: NearestMiss | null;
  /** All of it in words, one line a fact. */
  readonly text: string;
}

export interface RuleReference {
  /** `namespace/name`. */
  readonly policy: string;
  readonly rule: string;
  readonly position: Position;
}

export interface NearestMiss extends RuleReference {
  readonly misses: readonly Miss[];
  readonly text: string;
}

/** One part of a rule that did not hold. */
export interface Miss {
  readonly part: 'from' | 'to' | 'when';
  /** The fields at fault in the alternative that came nearest. */
  readonly fields: readonly string[];
  readonly text: string;
}

/** The policies as `CompiledPolicy.model` holds them. */
export function readModel(model: Uint8Array): WorkloadPolicies {
  // Written by `compilePolicies` in this very format; the revision names it.
  return JSON.parse(inflateRawSync(model, { maxOutputLength: MAX_MODEL_BYTES }).toString('utf8')) as WorkloadPolicies;
}

export function explain(set: WorkloadPolicies, input: AuthzInput, whenNoneSelects: WhenNoneSelects): Explanation {
  const { effect, code, policy, rule } = interpret(set, input, { revision: '', whenNoneSelects });
  if (policy !== null && rule !== null) {
    const found = locate(set, policy, rule);
    const matched = found === null ? null : { policy, rule, position: found.rule.position };
    const verb = effect === 'allow' ? 'allowed' : 'denied';
    const broken = found === null ? [] : brokenParametersText(set, found.policy, found.rule, input);
    const text = [`${verb} by ${policy}#${rule}${at(matched)}`, ...broken].join('\n  ');
    return { effect, code, matched, nearest: null, text };
  }
  const candidates = code === 'denied_outside_ceiling' ? titled(set, policy) : code === 'denied_no_match' ? set.policies : null;
  if (candidates === null) {
    const why = policy === null ? '' : ` (${policy})`;
    return { effect, code, matched: null, nearest: null, text: `${TEXTS[code] ?? code}${why}` };
  }
  const nearest = nearestMiss(set, candidates, input);
  const missed = code === 'denied_no_match' ? 'no rule matched' : `no rule of the ceiling ${policy} matched`;
  const text = nearest === null ? 'denied: the ALLOW policies have no rules' : `denied: ${missed}; nearest:\n${nearest.text}`;
  return { effect, code, matched: null, nearest, text };
}

function nearestMiss(set: WorkloadPolicies, candidates: readonly Policy[], input: AuthzInput): NearestMiss | null {
  let best: NearestMiss | null = null;
  let bestCost = Infinity;
  for (const policy of candidates) {
    if (policy.action !== 'ALLOW' || policy.mode !== 'enforce') continue;
    for (const rule of policy.rules) {
      const misses = missesOf(set, policy, rule, input);
      const cost = costOf(misses);
      if (cost >= bestCost) continue;
      bestCost = cost;
      const title = policyTitle(policy, set.namespace);
      const text = misses.map((miss) => `${title}#${rule.name}: ${miss.text}`).join('\n');
      best = { policy: title, rule: rule.name, position: rule.position, misses, text };
    }
  }
  return best;
}

/** For the token with which the rule misses least. */
function missesOf(set: WorkloadPolicies, policy: Policy, rule: Rule, input: AuthzInput): readonly Miss[] {
  const tokens = input.request?.tokens ?? [];
  const candidates: readonly (Token | null)[] = tokens.length === 0 ? [null] : tokens;
  let best: readonly Miss[] = [];
  let bestCost = Infinity;
  for (const token of candidates) {
    const misses = gather(ruleParts(set, policy, rule, input, token), input, token);
    if (costOf(misses) < bestCost) {
      best = misses;
      bestCost = costOf(misses);
    }
  }
  return best;
}

/** Of the alternatives in `from` and `to` only the nearest counts; every condition counts. */
function gather(parts: readonly PartResult[], input: AuthzInput, token: Token | null): readonly Miss[] {
  const misses: Miss[] = [];
  for (const part of ['from', 'to'] as const) {
    const failed = nearestAlternative(parts.filter((result) => result.part === part));
    if (failed.length > 0) misses.push(describe(part, failed, input, token));
  }
  for (const { field, holds } of parts.filter(({ part }) => part === 'when')) {
    if (!holds) misses.push(describe('when', [field], input, token));
  }
  return misses;
}

/** Fields that failed in the alternative with the fewest failures. */
function nearestAlternative(parts: readonly PartResult[]): readonly string[] {
  const alternatives = Map.groupBy(parts, ({ index }) => index);
  let best: readonly string[] | null = null;
  for (const fields of alternatives.values()) {
    const failed = fields.filter(({ holds }) => !holds).map(({ field }) => field);
    if (best === null || failed.length < best.length) best = failed;
  }
  return best ?? [];
}

function describe(part: Miss['part'], fields: readonly string[], input: AuthzInput, token: Token | null): Miss {
  const told = fields.map((field) => {
    const [isNot, name] = field.startsWith('not ') ? [true, field.slice('not '.length)] : [false, field];
    const found = foundValue(name, input, token);
    if (found === null)
      return { isNot, text: NOUNS[name] === undefined ? `a request without ${name}` : `a request without ${NOUNS[name]}` };
    const noun = part === 'from' || NOUNS[name] === undefined ? '' : `${NOUNS[name]} `;
    return { isNot, text: part === 'when' ? `${name} ${found}` : `${noun}${found}` };
  });
  const excluded = told.filter(({ isNot }) => isNot).map(({ text }) => text);
  const missing = told.filter(({ isNot }) => !isNot).map(({ text }) => text);
  const sentences = [
    ...(missing.length > 0 ? [`does not include ${missing.join(', ')}`] : []),
    ...(excluded.length > 0 ? [`excludes ${excluded.join(', ')}`] : []),
  ];
  return { part, fields, text: `\`${part}\` ${sentences.join(' and ')}` };
}

/** What the request has where the rule looked, or null for nothing. */
function foundValue(name: string, input: AuthzInput, token: Token | null): string | null {
  const { connection, request } = input;
  switch (name) {
    case 'principals':
    case 'namespaces':
    case 'serviceAccounts':
    case 'trustDomains':
    case 'source.principal':
    case 'source.namespace':
    case 'source.serviceAccount':
    case 'source.trustDomain':
      return connection.principal;
    case 'ipBlocks':
    case 'source.ip':
      return connection.sourceIp;
    case 'remoteIpBlocks':
    case 'remote.ip':
      return connection.remoteIp;
    case 'destination.ip':
      return connection.destinationIp;
    case 'ports':
    case 'destination.port':
      return String(connection.destinationPort);
    case 'connection.sni':
      return connection.sni;
    case 'requestPrincipals':
    case 'request.auth.principal':
      return token === null ? null : `${token.issuer}/${token.subject}`;
    case 'hosts':
      return request?.authority ?? null;
    case 'methods':
      return request?.method ?? null;
    case 'paths':
      return request?.path ?? null;
    default:
      // Headers and claims may be secrets: that they differ is all that is told.
      return isThere(name, input, token) ? 'as sent' : null;
  }
}

function isThere(name: string, input: AuthzInput, token: Token | null): boolean {
  if (name.includes(' or ')) return name.split(' or ').some((one) => isThere(one, input, token));
  if (name.startsWith('tags['))
    return (input.connection.tags ?? []).some((tag) => tag.startsWith(`${name.slice('tags['.length, -1)}=`));
  if (name === 'connection.tls' || name === 'connection.protocol') return true;
  if (!name.startsWith('request.headers[')) return token !== null;
  return (input.request?.fields.values(name.slice('request.headers['.length, -1).toLowerCase()).length ?? 0) > 0;
}

function locate(set: WorkloadPolicies, title: string, ruleName: string): { readonly policy: Policy; readonly rule: Rule } | null {
  for (const policy of titled(set, title)) {
    const rule = policy.rules.find(({ name }) => name === ruleName);
    if (rule !== undefined) return { policy, rule };
  }
  return null;
}

/** Policies of that title, those of the tree included. */
function titled(set: WorkloadPolicies, title: string | null): readonly Policy[] {
  const inherited = set.levels.flatMap(({ ceilings, musts }) => [...ceilings, ...musts]);
  return [...inherited, ...set.policies].filter((policy) => policyTitle(policy, set.namespace) === title);
}

function at(reference: RuleReference | null): string {
  return reference === null ? '' : ` (${reference.position.file}:${reference.position.line})`;
}

/** A rule for another operation is further away than any for this one. */
function costOf(misses: readonly Miss[]): number {
  let cost = 0;
  for (const { part, fields } of misses) cost += part === 'to' ? 10 + fields.length : part === 'from' ? 1 + fields.length : 2;
  return cost;
}

const NOUNS: Readonly<Record<string, string>> = {
  principals: 'an identity',
  namespaces: 'an identity',
  serviceAccounts: 'an identity',
  trustDomains: 'an identity',
  requestPrincipals: 'a token',
  hosts: 'host',
  methods: 'method',
  paths: 'path',
  ports: 'port',
};

const TEXTS: Readonly<Record<string, string>> = {
  allowed_no_policy: 'allowed: no ALLOW policy selects the workload, and nothing denied the request',
  denied_no_policy: 'denied: no policy selects the workload',
  engine_error: 'denied: the identity cannot be judged',
  mtls_required: 'denied: the connection is plaintext, and mutual TLS is required',
  denied_by_network_policy: 'denied: no network policy accepts the connection',
};

const MAX_MODEL_BYTES = 256 * 1024 * 1024;
