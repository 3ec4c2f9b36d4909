/** Values of variables -> the request that has them, for the interpreter to judge and for people to read. */
import type { AuthzInput, ConnectionAttributes, Token } from '../engine/input.ts';
import type { Program } from '../plan/clauses.ts';
import type { Values } from './satisfy.ts';
import type { Variable } from './variables.ts';

/** A request as plain data; texts as people write them, but for bytes that are no UTF-8. */
export interface ConcreteRequest {
  readonly connection: ConnectionAttributes;
  /** Null for raw TCP. */
  readonly request: {
    readonly method: string;
    readonly authority: string;
    readonly path: string;
    /** Left out for none. */
    readonly query?: string;
    readonly headers: readonly (readonly [string, string])[];
    readonly tokens: readonly Token[];
  } | null;
  readonly providers: Readonly<Record<string, 'allow' | 'deny'>>;
}

/** What is not said is as plain as can be. Values are binary: one character a byte. */
export function realise(
  values: ReadonlyMap<Variable, Values>,
  program: Program,
  user: (variable: Variable) => string | null,
): ConcreteRequest {
  const byKey = new Map([...values].map(([variable, found]) => [variable.key, found]));
  const one = (key: string): string | undefined => byKey.get(key)?.[0];
  const principal = one('principal');
  const tags = listed(byKey, 'tag ').map(([name, value]) => `${name}=${text(value)}`);
  const port = one('destinationPort') ?? '\x1f\x90';
  const sourceIp = addressOf(one('sourceIp') ?? '\x04\x0a\0\0\x01');
  const remoteIp = one('remoteIp');
  const sni = one('sni');
  const protocol = one('protocol');
  const connection: ConnectionAttributes = {
    principal: principal === undefined ? null : `spiffe://${text(principal)}`,
    sourceIp,
    remoteIp: remoteIp === undefined ? sourceIp : addressOf(remoteIp),
    destinationIp: addressOf(one('destinationIp') ?? '\x04\x0a\0\0\x02'),
    destinationPort: port.charCodeAt(0) * 256 + port.charCodeAt(1),
    sni: sni === undefined ? null : text(sni),
    tls: one('tls') !== 'false',
    protocol: program === 'tcp' ? 'tcp' : protocol === 'http2' || protocol === 'grpc' ? protocol : 'http',
    tags,
  };
  const answers = listed(byKey, 'provider ');
  const providers = Object.fromEntries(
    answers.map(([name, answer]) => [name, answer === 'deny' ? ('deny' as const) : ('allow' as const)]),
  );
  if (program === 'tcp') return { connection, request: null, providers };
  const query = one('query') ?? '';
  const request = {
    method: one('method') ?? (one('path') === '*' ? 'OPTIONS' : 'GET'),
    authority: one('authority') ?? 'service.test',
    path: one('path') ?? '/',
    ...(query === '' ? {} : { query }),
    headers: listed(byKey, 'header '),
    tokens: tokensOf(values, user),
  };
  return { connection, request, providers };
}

/** As engines take it. */
export function inputOf({ connection, providers, request }: ConcreteRequest): AuthzInput {
  if (request === null) return { connection, request, providers };
  const { headers, ...rest } = request;
  const values = (name: string): readonly string[] => headers.flatMap(([key, value]) => (key === name ? [value] : []));
  return { connection, request: { ...rest, fields: { values } }, providers };
}

/** A request in a line, for people. */
export function describeRequest({ connection, providers, request }: ConcreteRequest): string {
  const { destinationPort, principal, sni, sourceIp, tags = [], tls } = connection;
  const parts = [
    `from ${principal ?? (tls ? 'nobody (TLS)' : 'nobody (plaintext)')}`,
    `at ${sourceIp}`,
    `to port ${destinationPort}`,
  ];
  if (connection.remoteIp !== sourceIp) parts.push(`on behalf of ${connection.remoteIp}`);
  if (tags.length > 0) parts.push(`tags ${tags.join(', ')}`);
  if (sni !== null) parts.push(`SNI ${sni}`);
  for (const [name, value] of request?.headers ?? []) parts.push(`${name}: ${text(value)}`);
  for (const token of request?.tokens ?? []) parts.push(`token ${JSON.stringify(token)}`);
  for (const [name, answer] of Object.entries(providers)) parts.push(`${name} answers ${answer}`);
  const query = request?.query === undefined ? '' : `?${text(request.query)}`;
  const what = request === null ? 'TCP' : `${request.method} ${text(request.path)}${query} on "${text(request.authority)}"`;
  return `${what} ${parts.join(', ')}`;
}

function tokensOf(values: ReadonlyMap<Variable, Values>, user: (variable: Variable) => string | null): readonly Token[] {
  const ofTokens = Map.groupBy(
    [...values].filter(([{ isOfToken }]) => isOfToken),
    ([{ key }]) => key.slice(key.lastIndexOf(' of token ')),
  );
  // No token at all lacks what one lacks that says nothing; beside another it must be there to lack it.
  if ([...values].every(([{ isOfToken }, present]) => !isOfToken || present.length === 0)) return [];
  const tokens = [...ofTokens.values()].map((found) => {
    const claims: Record<string, unknown> = {};
    const own = new Map<string, Values>();
    for (const [variable, present] of found) {
      const name = variable.key.slice(0, variable.key.lastIndexOf(' of token '));
      // Written by `variableOf`.
      if (name.startsWith('claim ')) setNested(claims, JSON.parse(name.slice(6)) as readonly string[], present.map(text));
      else own.set(name, name === 'user' && present.length === 0 ? [user(variable) ?? BARE_USER] : present);
    }
    const [issuer = '', subject = ''] = (own.get('user')?.[0] ?? BARE_USER).split('\xff');
    const presenter = own.get('presenter')?.[0];
    return {
      issuer: text(issuer),
      subject: text(subject),
      audiences: (own.get('audiences') ?? []).map(text),
      presenter: presenter === undefined ? null : text(presenter),
      claims,
    };
  });
  return [...new Map(tokens.map((token) => [JSON.stringify(token), token])).values()];
}

function setNested(claims: Record<string, unknown>, path: readonly string[], values: readonly string[]): void {
  if (values.length === 0) return;
  let at = claims;
  for (const name of path.slice(0, -1)) {
    const inner = at[name];
    // Only this function makes members, and makes them records or lists.
    const isRecord = typeof inner === 'object' && inner !== null && !Array.isArray(inner);
    const next: Record<string, unknown> = isRecord ? (inner as Record<string, unknown>) : {};
    at[name] = next;
    at = next;
  }
  const [first = ''] = path;
  const isWords = path.length === 1 && (first === 'scope' || first === 'permission');
  at[path.at(-1) ?? ''] = isWords ? values.join(' ') : values.length === 1 ? values[0] : values;
}

/** Name behind the prefix, and each value. */
function listed(byKey: ReadonlyMap<string, Values>, prefix: string): readonly (readonly [string, string])[] {
  return [...byKey].flatMap(([key, values]) =>
    key.startsWith(prefix) ? values.map((value) => [key.slice(prefix.length), value] as const) : [],
  );
}

function addressOf(bytes: string): string {
  const numbers = Array.from(bytes.slice(1), (character) => character.charCodeAt(0));
  if (numbers.length === 4) return numbers.join('.');
  return Array.from({ length: 8 }, (_, index) =>
    (((numbers[2 * index] ?? 0) << 8) | (numbers[2 * index + 1] ?? 0)).toString(16),
  ).join(':');
}

function text(binary: string): string {
  return Buffer.from(binary, 'latin1').toString('utf8');
}

const BARE_USER = 'https://other.test\xffother';
