/**
 * Random small policy sets over a universe so small that every request in it can be judged: for each combination of what their
 * patterns tell apart it holds a value, so that two sets differ only if they differ on it.
 */
import type { Random } from '#authz/engine/samples.ts';
import type { AuthzInput, Token } from '#authz/engine/input.ts';
import { readPolicies } from '#authz/policy/read.ts';
import type { PolicySet } from '#authz/policy/policy-set.ts';

export type AttributeName = keyof typeof UNIVERSE;

/** Two sets about the same few attributes: the second another one, or the first with an edit. */
export function smallModels(random: Random): {
  readonly attributes: readonly AttributeName[];
  readonly sets: readonly PolicySet[];
} {
  const shuffled = NAMES.toSorted(() => random() - 0.5).slice(0, 2 + Math.floor(random() * 2));
  // What an API asks of parameters is asked beside a method and a path.
  const names = shuffled.includes('query') ? (['query', 'path', 'method'] as const) : shuffled;
  const maker = new Maker(names, random);
  const documents = maker.documents();
  const other = random() < 0.3 ? maker.documents() : maker.edited(documents);
  // Policies of the cluster ask for ports.
  return { attributes: [...new Set([...names, 'port' as const])], sets: [documents, other].map(read) };
}

/** Every request that the attributes tell apart, and every connection without one. */
export function* everyRequest(attributes: readonly AttributeName[]): Generator<AuthzInput> {
  let states: readonly State[] = [{}];
  for (const name of attributes) {
    states = states.flatMap((state) => UNIVERSE[name].map((value) => ({ ...state, [name]: value })));
  }
  for (const state of states) {
    yield input(state, false);
    yield input(state, true);
  }
}

interface State {
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly principal?: string | null;
  readonly header?: readonly string[];
  readonly port?: number;
  readonly ip?: string;
  readonly tokens?: readonly Token[];
}

function input(state: State, isTcp: boolean): AuthzInput {
  const { header = [], ip = '172.16.0.1', method = 'GET', path = '/', port = 9, principal = null, query, tokens = [] } = state;
  const connection = {
    principal: principal === null ? null : `spiffe://${principal}`,
    sourceIp: ip,
    remoteIp: ip,
    destinationIp: '10.9.9.9',
    destinationPort: port,
    sni: null,
    tls: true,
    protocol: isTcp ? ('tcp' as const) : ('http' as const),
  };
  const fields = { values: (name: string): readonly string[] => (name === 'x-t' ? header : []) };
  return {
    connection,
    request: isTcp ? null : { method, authority: 'a', path, ...(query === undefined ? {} : { query }), fields, tokens },
  };
}

class Maker {
  readonly #names: readonly AttributeName[];
  readonly #random: Random;

  constructor(names: readonly AttributeName[], random: Random) {
    this.#names = names;
    this.#random = random;
  }

  documents(): readonly object[] {
    const count = 1 + Math.floor(this.#random() * 4);
    return Array.from({ length: count }, (_, index) => this.#document(index));
  }

  /** One document replaced, left out, added, or one split in two. */
  edited(documents: readonly object[]): readonly object[] {
    const at = Math.floor(this.#random() * documents.length);
    const turn = this.#random();
    if (turn < 0.4) return documents.with(at, this.#document(at));
    if (turn < 0.6 && documents.length > 1) return documents.toSpliced(at, 1);
    if (turn < 0.8) return [...documents, this.#document(documents.length)];
    return documents.flatMap((document) => (document === documents[at] ? split(document) : [document]));
  }

  #document(index: number): object {
    if (this.#names.includes('query') && this.#random() < 0.4) return this.#api(index);
    const turn = this.#random();
    const rules = Array.from({ length: 1 + Math.floor(this.#random() * 3) }, () => this.#rule());
    const metadata = { name: `p${index}`, namespace: 'shop' };
    if (turn < 0.1) {
      const scope = { path: this.#pick(['/', '/shop']) };
      const isCeiling = this.#random() < 0.5;
      const spec = isCeiling
        ? { scope, action: 'ALLOW', inheritance: 'ceiling', rules: [{}] }
        : {
            scope,
            action: this.#pick(['ALLOW', 'DENY']),
            inheritance: 'must',
            rules: [{ to: [{ ports: [this.#pick([80, 8080])] }] }],
          };
      return { ...OURS, kind: 'ClusterAccessPolicy', metadata: { name: `c${index}` }, spec };
    }
    const action = turn < 0.45 ? 'DENY' : 'ALLOW';
    return { ...ISTIO, kind: 'AuthorizationPolicy', metadata, spec: { action, rules } };
  }

  /** Of two operations, one or both, with something asked of their parameters. */
  #api(index: number): object {
    const asked = (name: string): object[] => (this.#random() < 0.7 ? [{ name, ...this.#pick(ASKED[name] ?? []) }] : []);
    const operations = [
      { id: 'all', method: 'GET', path: '/a', parameters: asked('q') },
      { id: 'one', method: this.#pick(['GET', 'POST']), path: '/a/{*}', parameters: [...asked('x'), ...asked('q')] },
    ].filter(() => this.#random() < 0.7);
    const spec = {
      selector: { matchLabels: { app: 'a' } },
      unknownOperations: this.#pick(['Deny', 'Report']),
      validate: this.#pick([['path'], ['query'], ['path', 'query']]),
      operations: operations.length > 0 ? operations : [{ id: 'all', method: 'GET', path: '/a' }],
    };
    return { ...OURS, kind: 'APIDefinition', metadata: { name: `p${index}`, namespace: 'shop' }, spec };
  }

  #rule(): object {
    const [from, to]: [Record<string, string[]>, Record<string, string[]>] = [{}, {}];
    const when: object[] = [];
    for (const name of this.#names) {
      if (PATTERNS[name].length === 0 || this.#random() < 0.35) continue;
      const { field, place, values } = this.#pick(PATTERNS[name]);
      const isNot = this.#random() < 0.25;
      const some = values.filter(() => this.#random() < 0.5);
      const chosen = some.length === 0 ? [values[0] ?? ''] : some;
      if (place === 'when') when.push({ key: field, [isNot ? 'notValues' : 'values']: chosen });
      else {
        const key = isNot ? `not${field[0]?.toUpperCase() ?? ''}${field.slice(1)}` : field;
        (place === 'from' ? from : to)[key] = chosen;
      }
    }
    return {
      ...(Object.keys(from).length > 0 ? { from: [{ source: from }] } : {}),
      ...(Object.keys(to).length > 0 ? { to: [{ operation: to }] } : {}),
      ...(when.length > 0 ? { when } : {}),
    };
  }

  #pick<T>(list: readonly T[]): T {
    const found = list[Math.floor(this.#random() * list.length)];
    if (found === undefined) throw new Error('an empty list');
    return found;
  }
}

/** The same in two documents: rules one by one. */
function split(document: object): readonly object[] {
  // Made by `Maker`.
  const { metadata, spec } = document as { metadata: { name: string; namespace?: string }; spec: { rules?: readonly object[] } };
  if (spec.rules === undefined || spec.rules.length < 2) return [document];
  return spec.rules.map((rule, index) => ({
    ...document,
    metadata: { ...metadata, name: `${metadata.name}-${index}` },
    spec: { ...spec, rules: [rule] },
  }));
}

function read(documents: readonly object[]): PolicySet {
  const { faults, set } = readPolicies(documents.map((document) => JSON.stringify(document)).join('\n---\n'), 'model');
  if (faults.length > 0) throw new Error(JSON.stringify(faults));
  return set;
}

const ISTIO = { apiVersion: 'security.istio.io/v1' };
const OURS = { apiVersion: 'security.postern.mesh/v1alpha1' };

function token(issuer: string, subject: string, claims: Token['claims']): Token {
  return { issuer, subject, audiences: [], presenter: null, claims };
}

/** Users who are named, others, and tokens without a subject. */
const TOKENS = (
  [
    ['i', 's'],
    ['j', 't'],
    ['k', ''],
  ] as const
).flatMap(([issuer, subject]) => [token(issuer, subject, { role: 'admin' }), token(issuer, subject, {})]);
const UNIVERSE = {
  method: ['GET', 'POST', 'PUT'],
  path: ['/', '/a', '/a/b', '/a/c', '/a/x/y', '/a/x/b', '/b', '/xb', '/c', '/a/', '/a/1', '/a/11', '/a/x', '/a/xx', '/a/xb'],
  query: ['', 'q=1', 'q=true', 'q=%78', 'q=xx', 'q=1&q=true', 'q=%'],
  principal: [
    null,
    'cluster.local/ns/shop/sa/web',
    'cluster.local/ns/shop/sa/api',
    'cluster.local/ns/shop/x/sa/web',
    'cluster.local/ns/shop/x/api',
    'foreign/ns/shop/sa/web',
    'foreign/ns/shop/sa/api',
    'cluster.local/ns/other/sa/web',
    'cluster.local/ns/other/sa/api',
  ],
  header: [[], ['1'], ['2x'], ['z'], ['1', '2x'], ['1', 'z'], ['2x', 'z'], ['1', '2x', 'z']],
  port: [80, 8080, 9],
  ip: ['10.0.0.1', '10.1.0.1', '192.168.0.1'],
  tokens: [[], ...TOKENS.map((one) => [one]), ...TOKENS.flatMap((one, at) => TOKENS.slice(at + 1).map((other) => [one, other]))],
} as const;
// Holds because UNIVERSE has exactly these keys.
const NAMES = Object.keys(UNIVERSE) as AttributeName[];

interface PatternList {
  readonly field: string;
  readonly place: 'from' | 'to' | 'when';
  readonly values: readonly string[];
}

const PATTERNS: Readonly<Record<AttributeName, readonly PatternList[]>> = {
  method: [{ field: 'methods', place: 'to', values: ['GET', 'POST'] }],
  path: [{ field: 'paths', place: 'to', values: ['/a', '/a/*', '*b', '/b', '/a/{*}'] }],
  query: [],
  principal: [
    { field: 'principals', place: 'from', values: ['cluster.local/ns/shop/sa/web', '*/sa/web', 'cluster.local/ns/shop/*', '*'] },
    { field: 'namespaces', place: 'from', values: ['shop'] },
  ],
  header: [{ field: 'request.headers[x-t]', place: 'when', values: ['1', '2*', '*'] }],
  port: [{ field: 'ports', place: 'to', values: ['80', '8080'] }],
  ip: [{ field: 'ipBlocks', place: 'from', values: ['10.0.0.0/8', '10.0.0.0/16'] }],
  tokens: [
    { field: 'requestPrincipals', place: 'from', values: ['i/s', '*'] },
    { field: 'request.auth.claims[role]', place: 'when', values: ['admin'] },
  ],
};
/** By the parameter's name; each is told apart by the values of the universe. */
const ASKED: Readonly<Record<string, readonly object[]>> = {
  q: [
    { in: 'query', required: true },
    { in: 'query', type: 'boolean' },
    { in: 'query', enum: ['1', 'true'] },
    { in: 'query', maxLength: 1 },
    { in: 'query', required: true, type: 'boolean' },
  ],
  x: [
    { in: 'path', wildcard: 1, type: 'integer' },
    { in: 'path', wildcard: 1, enum: ['b', 'c'] },
    { in: 'path', wildcard: 1, minLength: 2 },
  ],
};
