/**
 * Cases of `policy test`: files `*_test.yaml` beside the policies, each with a list `cases`. A request is written as people say it;
 * the same words make the flags of `can-i`.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { PosternError } from '#base/error.ts';
import type { Workload } from '#authz/policy/model.ts';
import { joinInventories } from '#authz/policy/network/inventory.ts';
import type { PolicySet } from '#authz/policy/policy-set.ts';
import { parseYamlFile } from '#authz/policy/yaml-documents.ts';
import type { YamlNode } from '#authz/policy/yaml-node.ts';

import { EXIT, ExitError } from '../exit.ts';
import type { Question } from '../json-lines.ts';
import { faultLine } from './policy-decide.ts';

export interface PolicyCase {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  /** As `policy decide` takes it. */
  readonly question: Question;
  readonly expect: 'allow' | 'deny';
  /** `namespace/name#rule` or the rule's name, of the rule that must decide; null for any. */
  readonly rule: string | null;
}

/** Files of cases among the paths and in their folders. */
export function caseFilesIn(paths: readonly string[]): readonly string[] {
  return paths.flatMap((path) => {
    if (!statSync(path).isDirectory()) return CASE_FILE.test(path) ? [path] : [];
    return readdirSync(path, { recursive: true, encoding: 'utf8' })
      .filter((name) => CASE_FILE.test(name))
      .toSorted()
      .map((name) => join(path, name));
  });
}

/** @throws {ExitError} with status 65 for a file that cannot be understood */
export function readCases(file: string, set: PolicySet): readonly PolicyCase[] {
  const { documents, faults } = parseYamlFile(readFileSync(file, 'utf8'), file);
  const [first] = faults;
  if (first !== undefined) throw new ExitError(EXIT.data, faultLine(first));
  return documents.flatMap((document) => {
    const cases = member(document, 'cases');
    if (cases?.kind !== 'list') throw wrong(document, 'a list "cases"');
    return cases.items.map((node, index) => readCase(node, index, set));
  });
}

/** A request in the words of cases and flags, as a question of `policy decide`. */
export function questionOf(request: Readonly<Record<string, unknown>>, set: PolicySet): Question {
  for (const name of Object.keys(request)) {
    if (!WORDS.has(name))
      throw new PosternError('question_member', `Cannot read "${name}": wanted one of ${[...WORDS].join(', ')}`);
  }
  const {
    claims,
    from,
    headers,
    host,
    ip,
    method = 'GET',
    path = '/',
    port,
    protocol = 'http',
    providers,
    remoteIp,
    sni,
    tags,
    tls,
    to,
    tokens,
  } = request;
  const principal = typeof from === 'string' ? accountOf(from) : from;
  const pairs = typeof headers === 'object' && headers !== null && !Array.isArray(headers) ? pairsOf(headers) : headers;
  return {
    workload: typeof to === 'string' ? workloadNamed(to, set) : to,
    source: { principal, ip, remoteIp, tags },
    destination: { port: port ?? 8080 },
    connection: { protocol, sni, ...(tls === undefined ? {} : { tls }) },
    ...(protocol === 'tcp' ? {} : { request: { method, path, authority: host, headers: pairs } }),
    tokens: tokens ?? (claims === undefined ? [] : [{ claims }]),
    providers,
  };
}

/** From the inventory by its name or account; else with the label `app` of that name. */
export function workloadNamed(text: string, set: PolicySet): Workload {
  const [namespace = '', name = ''] = text.split('/');
  const known = joinInventories(set.inventories).workloads.find(
    (workload) => workload.namespace === namespace && (workload.name === name || workload.serviceAccount === name),
  );
  if (known !== undefined) return { namespace, labels: known.labels, serviceAccount: known.serviceAccount };
  return name === ''
    ? { namespace, labels: {}, serviceAccount: null }
    : { namespace, labels: { app: name }, serviceAccount: name };
}

/** `NAMESPACE/ACCOUNT` of the trust domain `cluster.local`, or an ID without its scheme. */
export function accountOf(text: string): string {
  if (text.includes('://')) return text;
  const parts = text.split('/');
  return parts.length === 2 ? `spiffe://cluster.local/ns/${parts[0] ?? ''}/sa/${parts[1] ?? ''}` : `spiffe://${text}`;
}

function pairsOf(headers: object): readonly (readonly [string, unknown])[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    Array.isArray(value) ? value.map((one): readonly [string, unknown] => [name, one]) : [[name, value] as const],
  );
}

function readCase(node: YamlNode, index: number, set: PolicySet): PolicyCase {
  const given = plain(node);
  if (!isRecord(given)) throw wrong(node, 'a mapping');
  const { expect, name = `case ${index}`, request, rule = null, ...rest } = given;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw wrong(node, `name, request, expect and rule, not "${unknown}"`);
  if (expect !== 'allow' && expect !== 'deny') throw wrong(node, 'expect: allow or deny');
  if (!isRecord(request)) throw wrong(node, 'a request');
  if (rule !== null && typeof rule !== 'string' && typeof rule !== 'number') throw wrong(node, 'rule: NAMESPACE/POLICY#RULE');
  const { file, line } = node.position;
  try {
    return {
      file,
      line,
      name: String(name),
      question: questionOf(request, set),
      expect,
      rule: rule === null ? null : String(rule),
    };
  } catch (error) {
    if (error instanceof PosternError) throw new ExitError(EXIT.data, `${file}:${line}: ${error.message}`);
    throw error;
  }
}

function member(node: YamlNode, name: string): YamlNode | undefined {
  return node.kind === 'map' ? node.entries.find(({ key }) => key === name)?.value : undefined;
}

function plain(node: YamlNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plain);
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, plain(value)]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong({ position: { file, line } }: YamlNode, wanted: string): ExitError {
  return new ExitError(EXIT.data, `${file}:${line}: Cannot read the case: wanted ${wanted}`);
}

const CASE_FILE = /_test\.ya?ml$/;
const WORDS: ReadonlySet<string> = new Set([
  'from',
  'to',
  'method',
  'path',
  'host',
  'headers',
  'claims',
  'tokens',
  'ip',
  'remoteIp',
  'port',
  'protocol',
  'sni',
  'tls',
  'tags',
  'providers',
]);
