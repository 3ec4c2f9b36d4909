/** Istio's and Envoy's own tables: documents that are valid and not, string and template matching, ports, names in brackets, aliases. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { interpret } from '#authz/engine/interpreter.ts';
import { loadEngine } from '#authz/engine/load.ts';
import { decideOnce } from '#authz/engine/self-test.ts';
import { compilePolicies, policiesOf } from '#authz/plan/compile.ts';
import { hostPattern, pathPattern, stringPattern } from '#authz/plan/patterns.ts';
import { expandPrincipal } from '#authz/plan/trust-domains.ts';
import { readPolicies } from '#authz/policy/read.ts';
import { bracketed, checkPath, checkPort, claimPath } from '#authz/policy/values.ts';
import { vectorsDir } from '#test/support/vectors.ts';

import { COMPILE_OPTIONS, WORKLOAD, operation, policy } from './realistic.ts';
import { verdictInput } from './verdicts.cases.ts';

const vectors = vectorsDir();

/** Rows of a table that was taken from Go: every member is text, some of it Go source. */
function table(file: string, name: string): readonly Readonly<Record<string, string>>[] {
  if (vectors === null) return [];
  const { tables } = JSON.parse(readFileSync(join(vectors, 'istio-unit-tables', file), 'utf8')) as {
    tables: Record<string, Record<string, string>[]>;
  };
  return tables[name] ?? [];
}

describe.skipIf(vectors === null)('Istio', () => {
  test.each(['authz-valid', 'authz-invalid'])('%s', (name) => {
    const text = readFileSync(join(vectors ?? '', 'istio-validation', `${name}.yaml`), 'utf8');
    const { documents } = readPolicies(text.replaceAll(/^_err:.*$/gm, ''), name);
    expect(documents.length).toBeGreaterThan(0);
    for (const { faults } of documents) expect(faults.length === 0).toBe(name === 'authz-valid');
  });

  test.each(table('header.json', 'TestHeaderMatcher'))('matches headers: $Name', ({ V = '', Expect = '' }) => {
    expect(stringPattern(V, 'present')).toEqual(fromGo(Expect));
  });

  test.each(table('header.json', 'TestHostMatcher'))('matches hosts: $Name', ({ V = '', Expect = '' }) => {
    expect(hostPattern(V)).toEqual(fromGo(Expect));
  });

  test.each(table('template.json', 'TestPathTemplateMatcher'))('matches templates: $name', ({ path = '', want = '' }) => {
    const template = /PathTemplate: "([^"]*)"/.exec(want)?.[1] ?? '';
    const segments = template
      .slice(1)
      .split('/')
      .map((segment) => (/^\*+$/.test(segment) ? `{${segment}}` : segment));
    expect(checkPath(path)).toBeNull();
    expect(pathPattern(path)).toEqual({ form: 'template', segments });
  });

  test.each([
    { form: 'prefix', write: (text: string) => `${text}*`, rows: table('string.json', 'TestStringMatcherPrefix') },
    { form: 'suffix', write: (text: string) => `*${text}`, rows: table('string.json', 'TestStringMatcherSuffix') },
    { form: 'exact', write: (text: string) => text, rows: table('string.json', 'TestStringMatcherExact') },
  ])('matches strings: $form', ({ form, write, rows }) => {
    expect(rows.map(({ str = '' }) => stringPattern(write(str), 'present'))).toEqual(
      rows.map(({ str }) => ({ form, text: str })),
    );
  });

  test.each(table('string.json', 'TestStringMatcherRegex_Match'))('takes names literally: $name', ({ v = '' }) => {
    expect(stringPattern(v, 'present')).toEqual({ form: 'suffix', text: v.slice(1) });
  });

  test.each(table('util.json', 'TestConvertToPort'))('ports: $Name', ({ V = '', Err }) => {
    expect(checkPort(V) === null).toBe(Err === undefined);
  });

  // Ours is stricter: a name must not be empty.
  test.each(table('util.json', 'TestExtractNameInBrackets'))('names in brackets: $s', ({ s = '', want, err }) => {
    expect(bracketed(`request.headers${s}`, 'request.headers')).toBe(err === undefined && want !== '' ? want : null);
  });

  test.each(table('util.json', 'TestExtractNameInNestedBrackets'))('names in nested brackets: $s', ({ s = '', want = '' }) => {
    const names = strings(want);
    expect(claimPath(`request.auth.claims${s}`)).toEqual(names.length > 0 && names.every((name) => name !== '') ? names : null);
  });

  test.each(table('bundle.json', 'TestReplaceTrustDomainAliases'))(
    'trust-domain aliases: $name',
    ({ trustDomainBundle = '', principals = '', expect: want = '' }) => {
      const domains = strings(trustDomainBundle);
      expect(strings(principals).flatMap((principal) => expandPrincipal(principal, domains))).toEqual(strings(want));
    },
  );
});

describe.skipIf(vectors === null)("Envoy's uri_template", () => {
  const read = (): { match: [string, string, boolean][]; invalidPatterns: string[]; validPatternToRegex: [string, string][] } =>
    JSON.parse(readFileSync(join(vectors ?? '', 'envoy/uri-template.json'), 'utf8')) as ReturnType<typeof read>;
  const { match, invalidPatterns, validPatternToRegex } =
    vectors === null ? { match: [], invalidPatterns: [], validPatternToRegex: [] } : read();

  test.each(match)('%s on %s: %s', (template, path, wanted) => {
    const value = toIstio(template);
    // Operators of Istio are whole segments; Envoy knows a literal behind one.
    if (value === null) expect(template).toMatch(/\}\.[a-z]+$/);
    else expect(matches(value, path)).toBe(wanted);
  });

  test.each(validPatternToRegex)('%s as the expression %s', (template, expression) => {
    const value = toIstio(template);
    if (value === null) {
      expect(template).toBe('/**.mpd');
      return;
    }
    // The table is of an Envoy whose wildcards left out "=" and "*"; 1.40 takes them (envoy-paths.test.ts).
    const regex = new RegExp(`^${expression.replaceAll('?P<', '?<').replaceAll(',;:@', ',;:@=*')}$`);
    for (const path of [
      '/abc',
      '/abc/',
      '/api/a/b/c',
      '/api/a/b/',
      '/api/a/b',
      '/api/a=b/c/d',
      '/api/a/b/c=d',
      '/api//b/c',
      '/api/a/b//',
      '/api/%20/~/x/y',
    ]) {
      expect({ path, is: matches(value, path) }).toEqual({ path, is: regex.test(path) });
    }
  });

  test('an operator after {**} is refused', () => {
    expect(invalidPatterns).toContain('/media/**/*/**');
    expect(checkPath('/media/{**}/{*}/{**}')).toMatchObject({ code: 'PN0304' });
  });
});

/** A template of Envoy as Istio writes it, null when Istio cannot. */
function toIstio(template: string): string | null {
  const segments = template.split('/').map((segment) => {
    if (segment === '**' || /^\{\w+=\*\*\}$/.test(segment)) return '{**}';
    if (segment === '*' || /^\{\w+(?:=\*)?\}$/.test(segment)) return '{*}';
    return segment;
  });
  const value = segments.join('/');
  return checkPath(value) === null && segments.every((segment) => /^\{\*+\}$/.test(segment) || !/[*{}]/.test(segment))
    ? value
    : null;
}

/** By module and interpreter. */
function matches(value: string, path: string): boolean {
  const policies = [policy('p', 'ALLOW', [{ from: [], to: [operation({ paths: [value] })], when: [] }])];
  const input = verdictInput({ path });
  const engine = loadEngine(compilePolicies(policies, WORKLOAD, COMPILE_OPTIONS), { whenNoneSelects: 'deny' });
  const { effect } = decideOnce(engine, input);
  expect(
    interpret(policiesOf(policies, WORKLOAD, COMPILE_OPTIONS), input, { revision: '', whenNoneSelects: 'deny' }).effect,
  ).toBe(effect);
  return effect === 'allow';
}

/** A matcher of Envoy in Go source, as our patterns say it. */
function fromGo(source: string): object {
  if (source.includes('PresentMatch')) return { form: 'present' };
  const [, form = '', text = ''] = /StringMatcher(Exact|Prefix|Suffix)\("([^"]*)"/.exec(source) ?? [];
  return { form: form.toLowerCase(), text };
}

/** String literals of Go source. */
function strings(source: string): readonly string[] {
  return [...source.matchAll(/"([^"]*)"/g)].map(([, text = '']) => text);
}
