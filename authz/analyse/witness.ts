/**
 * Finds a request for which something holds, such as "this rule allows it and that ceiling does not": by trying the boundary values
 * of the rules in question, one and two at a time, from requests that fit a rule. Whatever is found was judged by whoever asks, so a
 * witness is never wrong; that none was found within the budget proves nothing.
 */
import type { Attribute } from '../policy/expression.ts';
import type { Policy, Rule } from '../policy/model.ts';
import type { AuthzInput, ConnectionAttributes, Token } from '../engine/input.ts';
import type { PartResult } from '../engine/interpreter-istio.ts';
import { boundaryValues } from './boundary-values.ts';
import type { AttributeKey, AttributeValues } from './boundary-values.ts';

export interface WitnessOptions {
  readonly namespace: string;
  /** Own trust domain first. */
  readonly trustDomains: readonly string[];
  /** Requests that may be judged. */
  readonly budget: number;
}

/** Rules whose values are tried. */
export type RuleOfPolicy = { readonly policy: Policy; readonly rule: Rule };

export class WitnessSearch {
  readonly #variables: readonly Variable[];
  readonly #options: WitnessOptions;
  #left = 0;

  constructor(rules: readonly RuleOfPolicy[], options: WitnessOptions) {
    this.#options = options;
    this.#variables = variablesOf(boundaryValues(rules, options.namespace), options.trustDomains);
  }

  /**
   * A request for which `isWitness` holds, or null.
   *
   * @param missing  how much a request lacks of being worth a look: 0 for those among which witnesses are, and less the nearer
   */
  find(missing: (input: AuthzInput) => number, isWitness: (input: AuthzInput) => boolean): AuthzInput | null {
    this.#left = this.#options.budget;
    for (const start of this.#starts()) {
      const seed = this.#descend(start, missing);
      if (this.#left <= 0) return null;
      if (seed === null) continue;
      if (isWitness(inputOf(seed))) return inputOf(seed);
      const found = this.#around(seed, missing, isWitness);
      if (found !== null) return found;
    }
    return null;
  }

  /** An empty request, and the n-th value of every variable at once. */
  *#starts(): Generator<Assignment> {
    yield EMPTY;
    for (let turn = 0; turn < MAX_STARTS; turn++) {
      yield this.#variables.reduce(
        (state, variable) => withValue(state, variable, variable.values[(turn * 7) % variable.values.length]),
        EMPTY,
      );
    }
  }

  /** Sets one variable after the other to what lacks least, until nothing is missing; null when that leads nowhere. */
  #descend(start: Assignment, missing: (input: AuthzInput) => number): Assignment | null {
    let state = start;
    let lack = missing(inputOf(state));
    for (let round = 0; round < MAX_ROUNDS && lack > 0; round++) {
      const before = lack;
      for (const variable of this.#variables) {
        for (const value of variable.values) {
          if (lack === 0) return state;
          if (this.#left-- <= 0) return null;
          const changed = withValue(state, variable, value);
          const less = missing(inputOf(changed));
          if (less >= lack) continue;
          state = changed;
          lack = less;
        }
      }
      if (lack === before) return null;
    }
    return lack === 0 ? state : null;
  }

  #around(
    seed: Assignment,
    missing: (input: AuthzInput) => number,
    isWitness: (input: AuthzInput) => boolean,
  ): AuthzInput | null {
    let frontier: readonly Assignment[] = [seed];
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const next: Assignment[] = [];
      for (const state of frontier) {
        for (const variable of this.#variables) {
          for (const value of variable.values) {
            if (this.#left-- <= 0) return null;
            const changed = withValue(state, variable, value);
            const input = inputOf(changed);
            if (missing(input) > 0) continue;
            if (isWitness(input)) return input;
            if (next.length < MAX_FRONTIER) next.push(changed);
          }
        }
      }
      frontier = next;
    }
    return null;
  }
}

/** How many parts of a rule fail, of alternatives those that fail least; 0 when it matches. */
export function partsMissing(parts: readonly PartResult[]): number {
  let missing = parts.filter(({ holds, part }) => part === 'when' && !holds).length;
  for (const part of ['from', 'to'] as const) {
    const alternatives = Map.groupBy(
      parts.filter((result) => result.part === part),
      ({ index }) => index,
    );
    const counts = [...alternatives.values()].map((fields) => fields.filter(({ holds }) => !holds).length);
    if (counts.length > 0) missing += Math.min(...counts);
  }
  return missing;
}

/** A request as people read it, for messages. */
export function describeWitness({ connection, request }: AuthzInput): string {
  const who = connection.principal ?? 'nobody';
  const tags = connection.tags === undefined || connection.tags.length === 0 ? '' : ` with ${connection.tags.join(', ')}`;
  const where = `${connection.sourceIp} to port ${connection.destinationPort}`;
  if (request === null) return `a TCP connection of ${who}${tags} from ${where}`;
  const tokens = request.tokens
    .map(({ claims, issuer, subject }) => `, token ${issuer}/${subject} ${JSON.stringify(claims)}`)
    .join('');
  const headers =
    WITNESS_HEADERS.get(request)
      ?.map(([name, value]) => `, ${name}: ${value}`)
      .join('') ?? '';
  const query = request.query === undefined ? '' : `?${request.query}`;
  return `${request.method} ${request.path}${query} on "${request.authority}" of ${who}${tags} from ${where}${headers}${tokens}`;
}

/** What is left out is absent; `undefined` of a variable is its absence. */
type Assignment = ReadonlyMap<AttributeKey, string | undefined>;

interface Variable {
  readonly key: AttributeKey;
  /** Undefined is absence. Never empty. */
  readonly values: readonly (string | undefined)[];
}

/** What rules say of an identity in four ways is one variable: its SPIFFE ID. */
function variablesOf(found: ReadonlyMap<AttributeKey, AttributeValues>, trustDomains: readonly string[]): readonly Variable[] {
  const variables: Variable[] = [{ key: 'principal', values: identities(found, trustDomains) }];
  for (const [key, { attribute, values }] of found) {
    if (IDENTITY_KINDS.has(attribute.kind)) continue;
    const others = OTHERS[attribute.kind] ?? ['other'];
    variables.push({
      key,
      values: [...new Set([...values, ...others]), undefined].filter((value) => isPossible(attribute, value)),
    });
  }
  for (const key of ['method', 'path', 'protocol'] as const) {
    if (!found.has(key)) variables.push({ key, values: OTHERS[key] ?? ['other'] });
  }
  return variables.toSorted((left, right) => right.values.length - left.values.length);
}

function identities(
  found: ReadonlyMap<AttributeKey, AttributeValues>,
  trustDomains: readonly string[],
): readonly (string | undefined)[] {
  const of = (kind: string): readonly string[] => [...(found.get(kind)?.values ?? [])];
  const [own = 'cluster.local'] = trustDomains;
  const ids = new Set<string>(of('principal').filter((id) => id !== ''));
  for (const principal of of('principal')) if (principal.startsWith('/')) ids.add(`${own}${principal}`);
  for (const account of of('serviceAccount')) {
    const [namespace = '', name = ''] = account.split('/');
    if (namespace !== '' && name !== '') ids.add(`${own}/ns/${namespace}/sa/${name}`);
  }
  const namespaces = of('namespace').filter((name) => name !== '' && !name.includes('/'));
  for (const namespace of namespaces) ids.add(`${own}/ns/${namespace}/sa/x`);
  for (const domain of of('trustDomain').filter((name) => name !== '' && !name.includes('/'))) {
    for (const namespace of [...namespaces, 'x']) ids.add(`${domain}/ns/${namespace}/sa/x`);
  }
  ids.add(`${own}/ns/other/sa/other`);
  ids.add('foreign.test/ns/other/sa/other');
  return [...[...ids].map((id) => `spiffe://${id}`), undefined];
}

function isPossible({ kind }: Attribute, value: string | undefined): boolean {
  if (kind === 'path') return value?.startsWith('/') === true;
  if (kind === 'method') return value !== undefined && /^[A-Za-z-]+$/.test(value);
  if (kind === 'destinationPort' || kind === 'tls' || kind === 'protocol') return value !== undefined && value !== '';
  if (kind === 'host' || kind === 'query') return value !== undefined;
  return true;
}

function withValue(state: Assignment, { key }: Variable, value: string | undefined): Assignment {
  return new Map(state).set(key, value);
}

function inputOf(state: Assignment): AuthzInput {
  const of = (key: string): string | undefined => state.get(key);
  const protocol = of('protocol') ?? 'http';
  const principal = of('principal') ?? null;
  const sourceIp = of('sourceIp') ?? '10.0.0.1';
  const named = (prefix: string): readonly (readonly [string, string])[] =>
    [...state].flatMap(([key, value]) =>
      value !== undefined && key.startsWith(prefix) ? [[key.slice(prefix.length), value] as const] : [],
    );
  const connection: ConnectionAttributes = {
    principal,
    sourceIp,
    remoteIp: of('remoteIp') ?? sourceIp,
    destinationIp: of('destinationIp') ?? '10.0.0.2',
    destinationPort: Number(of('destinationPort') ?? '8080'),
    sni: of('sni') ?? null,
    tls: principal !== null || of('tls') === 'true',
    protocol: protocol === 'tcp' || protocol === 'grpc' || protocol === 'http2' ? protocol : 'http',
    tags: named('tag ').map(([name, value]) => `${name}=${value}`),
  };
  if (protocol === 'tcp') return { connection, request: null };
  const headers = named('header ').map(([name, value]) => [name, binary(value)] as const);
  const fields = {
    values: (name: string): readonly string[] => headers.flatMap(([key, value]) => (key === name ? [value] : [])),
  };
  const query = of('query') ?? '';
  const request = {
    method: of('method') ?? 'GET',
    authority: binary(of('host') ?? 'service.test'),
    path: binary(of('path') ?? '/'),
    ...(query === '' ? {} : { query: binary(query) }),
    fields,
    tokens: tokensOf(state),
  };
  WITNESS_HEADERS.set(request, headers);
  return { connection, request };
}

/** One token that says all that is asked for, or none. */
function tokensOf(state: Assignment): readonly Token[] {
  const [issuer, subject, audience, presenter] = ['issuer', 'subject', 'audiences', 'presenter'].map((key) => state.get(key));
  const claims: Record<string, unknown> = {};
  for (const [key, value] of state) {
    if (value === undefined || !key.startsWith('claim ')) continue;
    // Written by `attributeKey`.
    setNested(claims, JSON.parse(key.slice('claim '.length)) as readonly string[], value);
  }
  const isNothing = [issuer, subject, audience, presenter].every((value) => value === undefined);
  if (isNothing && Object.keys(claims).length === 0) return [];
  return [
    {
      issuer: issuer ?? '',
      subject: subject ?? '',
      audiences: audience === undefined ? [] : [audience],
      presenter: presenter ?? null,
      claims,
    },
  ];
}

function setNested(claims: Record<string, unknown>, path: readonly string[], value: string): void {
  let at = claims;
  for (const name of path.slice(0, -1)) {
    const inner = at[name];
    // Only this function makes members, and makes them records or texts.
    const next: Record<string, unknown> = typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : {};
    at[name] = next;
    at = next;
  }
  at[path.at(-1) ?? ''] = value;
}

function binary(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

const EMPTY: Assignment = new Map();
const IDENTITY_KINDS: ReadonlySet<string> = new Set(['principal', 'trustDomain', 'namespace', 'serviceAccount']);
/** Values that no rule is likely to name. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  method: ['GET', 'OTHER'],
  path: ['/', '/other'],
  query: ['', 'other=1'],
  host: ['service.test'],
  sourceIp: ['10.0.0.1', '203.0.113.9'],
  remoteIp: ['203.0.113.9'],
  destinationIp: ['10.0.0.2'],
  destinationPort: ['8080', '1'],
  protocol: ['http', 'tcp'],
  tls: ['true', 'false'],
};
/** Headers of requests that were made here: a request itself only answers for names. */
const WITNESS_HEADERS = new WeakMap<object, readonly (readonly [string, string])[]>();
const MAX_STARTS = 6;
const MAX_ROUNDS = 3;
const MAX_DEPTH = 2;
const MAX_FRONTIER = 64;
