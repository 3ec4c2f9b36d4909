/**
 * A question of `policy decide` as the engine's input. What the proxy does to a request before it is judged is done here by the
 * proxy's own code; a request that it would refuse is a denial with the refusal's code.
 */
import { parseIp } from '#base/cidr.ts';
import { PosternError } from '#base/error.ts';
import type { AuthzInput, ConnectionAttributes, RequestAttributes, Token } from '#authz/engine/input.ts';
import type { Workload } from '#authz/policy/model.ts';
import { readTimeMs } from '#authz/policy/times.ts';
import { CanonicalTarget, canonicaliseText } from '#proxy/http/canonicalise.ts';
import type { PathMode } from '#proxy/http/path.ts';

import { kindOf } from '../json-lines.ts';
import type { Question } from '../json-lines.ts';

export interface DecideQuestion {
  readonly workload: Workload;
  readonly input: AuthzInput;
  /** The time that it is asked about, milliseconds since 1970, or null. */
  readonly atMs: number | null;
  /** Why the proxy would refuse the request before it is judged, or null. */
  readonly refusal: string | null;
}

/** @throws {PosternError} `question_member` when the question cannot be understood */
export function readDecideQuestion(question: Question, mode: PathMode): DecideQuestion {
  const workload = readQuestionWorkload(question);
  const connection = readConnection(question);
  const providers = readProviders(members(question, 'providers'));
  const atMs = readAt(question);
  if (connection.protocol === 'tcp') return { workload, input: { connection, request: null, providers }, atMs, refusal: null };
  const asked = members(question, 'request');
  if (asked === null) throw wrong('request', question['request'], 'an object, or connection.protocol tcp');
  const headers = readHeaders(asked['headers']);
  const hosts = headers.get('host') ?? [];
  const given = optionalText(asked, 'authority');
  const hasHost = given !== null || hosts.length > 0;
  const target = {
    method: text(asked, 'method', 'GET'),
    target: text(asked, 'path', '/'),
    // A question that leaves the host out is judged without one.
    hosts: hasHost ? hosts : [NO_HOST],
    authority: given,
    scheme: connection.tls ? 'https' : 'http',
  };
  const refusal = canonicaliseText(target, mode, TARGET);
  const { path, queryEnd, queryStart } = TARGET;
  const query = target.target.slice(queryStart + 1, queryEnd);
  const authority = hasHost ? TARGET.authority : '';
  const fields = { values: (name: string): readonly string[] => headers.get(name) ?? [] };
  const tokens = readTokens(question['tokens']);
  const request: RequestAttributes = { method: target.method, authority, path, query, fields, tokens };
  return { workload, input: { connection, request, providers }, atMs, refusal };
}

/** The workload that a question is about. @throws {PosternError} as `readDecideQuestion` does */
export function readQuestionWorkload(question: Question): Workload {
  return readWorkload(members(question, 'workload'));
}

type Members = Readonly<Record<string, unknown>>;

function readWorkload(workload: Members | null): Workload {
  if (workload === null) return { namespace: 'default', labels: {}, serviceAccount: null };
  const labels: [string, string][] = [];
  for (const [label, value] of Object.entries(members(workload, 'labels') ?? {})) {
    if (typeof value !== 'string') throw wrong(`workload.labels.${label}`, value, 'a string');
    labels.push([label, value]);
  }
  return {
    namespace: text(workload, 'namespace', 'default'),
    labels: Object.fromEntries(labels),
    serviceAccount: optionalText(workload, 'serviceAccount'),
  };
}

function readConnection(question: Question): ConnectionAttributes {
  const source = members(question, 'source') ?? NOTHING;
  const destination = members(question, 'destination') ?? NOTHING;
  const connection = members(question, 'connection') ?? NOTHING;
  const sourceIp = address(source, 'ip', '');
  const principal = optionalText(source, 'principal');
  const tls = connection['tls'] ?? principal !== null;
  if (typeof tls !== 'boolean') throw wrong('connection.tls', tls, 'true or false');
  return {
    // Identity is what a certificate proves; plaintext has none.
    principal: tls ? principal : null,
    sourceIp,
    remoteIp: address(source, 'remoteIp', sourceIp),
    destinationIp: address(destination, 'ip', ''),
    destinationPort: port(destination),
    sni: optionalText(connection, 'sni'),
    tls,
    protocol: protocol(connection['protocol'] ?? 'http'),
    tags: tls ? readTags(source['tags']) : [],
  };
}

/** A list of `name=value`, or values by their names. */
function readTags(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  const listed: readonly unknown[] = Array.isArray(value)
    ? value
    : isMembers(value)
      ? Object.entries(value).map(([name, content]) => (typeof content === 'string' ? `${name}=${content}` : content))
      : [value];
  return listed.map((tag) => {
    if (typeof tag !== 'string' || !tag.includes('=')) throw wrong('source.tags', tag, 'texts of the form name=value');
    return tag;
  });
}

function readProviders(asked: Members | null): Readonly<Record<string, 'allow' | 'deny'>> {
  const answers: [string, 'allow' | 'deny'][] = [];
  for (const [name, value] of Object.entries(asked ?? NOTHING)) {
    if (value !== 'allow' && value !== 'deny') throw wrong(`providers.${name}`, value, 'allow or deny');
    answers.push([name, value]);
  }
  return Object.fromEntries(answers);
}

function readAt(question: Question): number | null {
  const at = optionalText(question, 'at');
  if (at === null) return null;
  const time = readTimeMs(at);
  if (time === null) throw wrong('at', at, 'a time such as 2026-11-24T12:00:00Z');
  return time;
}

function protocol(value: unknown): ConnectionAttributes['protocol'] {
  if (value === 'http' || value === 'http2' || value === 'grpc' || value === 'tcp') return value;
  throw wrong('connection.protocol', value, 'http, http2, grpc or tcp');
}

function port(destination: Members): number {
  const value = destination['port'] ?? 0;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 65_535) return value;
  throw wrong('destination.port', value, 'a number from 0 to 65535');
}

function address(from: Members, name: string, otherwise: string): string {
  const value = optionalText(from, name);
  if (value === null) return otherwise;
  if (parseIp(value) === null) throw wrong(name, value, 'an IP address');
  return value;
}

/** By lower-case name, in order of arrival; values as the bytes that would arrive. */
function readHeaders(value: unknown): ReadonlyMap<string, readonly string[]> {
  const headers = new Map<string, string[]>();
  if (value === undefined || value === null) return headers;
  if (!Array.isArray(value)) throw wrong('request.headers', value, 'a list of pairs');
  for (const pair of value as readonly unknown[]) {
    const [name, content] = Array.isArray(pair) ? (pair as readonly unknown[]) : [];
    if (typeof name !== 'string' || typeof content !== 'string') throw wrong('request.headers', pair, 'pairs of strings');
    const key = name.toLowerCase();
    const bytes = Buffer.from(content, 'utf8').toString('latin1').replace(BLANKS_AROUND, '');
    const known = headers.get(key);
    if (known === undefined) headers.set(key, [bytes]);
    else known.push(bytes);
  }
  return headers;
}

function readTokens(value: unknown): readonly Token[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrong('tokens', value, 'a list');
  return value.map((item: unknown) => {
    if (!isMembers(item)) throw wrong('tokens', item, 'objects');
    const claims = members(item, 'claims') ?? NOTHING;
    return {
      issuer: optionalText(item, 'issuer') ?? textOr(claims['iss'], ''),
      subject: optionalText(item, 'subject') ?? textOr(claims['sub'], ''),
      audiences: texts(item['audiences'] ?? claims['aud'] ?? []),
      presenter: optionalText(item, 'presenter') ?? textOr(claims['azp'], null),
      claims,
    };
  });
}

function texts(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) throw wrong('audiences', value, 'a list of strings');
  return value.filter((item) => typeof item === 'string');
}

function textOr<T>(value: unknown, otherwise: T): string | T {
  return typeof value === 'string' ? value : otherwise;
}

function text(from: Members, name: string, otherwise: string): string {
  return optionalText(from, name) ?? otherwise;
}

function optionalText(from: Members, name: string): string | null {
  const value = from[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') throw wrong(name, value, 'a string');
  return value;
}

function members(from: Members, name: string): Members | null {
  const value = from[name];
  if (value === undefined || value === null) return null;
  if (!isMembers(value)) throw wrong(name, value, 'an object');
  return value;
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(name: string, found: unknown, wanted: string): PosternError {
  return new PosternError('question_member', `Cannot read "${name}": found ${kindOf(found)}, wanted ${wanted}`);
}

const NO_HOST = 'unnamed.invalid';
const NOTHING: Members = Object.freeze({});
const TARGET = new CanonicalTarget();
const BLANKS_AROUND = /^[ \t]+|[ \t]+$/g;
