/** Descriptions imported as a user would, and every request asked of the engines: which operation is it, if any? */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

import { API_FAULTS } from '#authz/api/faults.ts';
import type { AuthzInput, Decision } from '#authz/engine/input.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { loadEngine } from '#authz/engine/load.ts';
import { decideOnce } from '#authz/engine/self-test.ts';
import { compileSelected } from '#authz/plan/compile.ts';
import { readPolicies } from '#authz/policy/read.ts';
import { selectPolicies } from '#authz/policy/select.ts';
import { apiImport } from '#cli/verbs/api-import.ts';
import { apiLint } from '#cli/verbs/api-lint.ts';
import { apiList } from '#cli/verbs/api-list.ts';

const DESCRIPTIONS = join(import.meta.dirname, 'descriptions');
const WORKLOAD = { namespace: 'shop', labels: { app: 'books' }, serviceAccount: 'books' };
const ENGINE = { whenNoneSelects: 'deny' } as const;
const place = mkdtempSync(join(tmpdir(), 'api-'));
afterAll(() => rmSync(place, { recursive: true, force: true }));

describe.each(['bookinfo-2.0.yaml', 'bookinfo-3.1.yaml'])('%s', async (file) => {
  const judge = judgeOf((await imported([file])).document);
  test.each([
    ['GET', '/api/v1/products', 'getProducts'],
    ['GET', '/api/v1/products/0', 'getProduct'],
    ['GET', '/api/v1/products/a%2Fb', 'getProduct'],
    ['GET', '/api/v1/products/0/reviews', 'getProductReviews'],
    ['GET', '/api/v1/products/0/ratings', 'getProductRatings'],
    ['GET', '/api/v1/products/', null],
    ['GET', '/api/v1/products/0/', null],
    ['GET', '/api/v1/products/0/authors', null],
    ['GET', '/api/v1/products/0/ratings/1', null],
    ['GET', '/products', null],
    ['GET', '/api/v1', null],
    ['GET', '/', null],
    ['POST', '/api/v1/products', null],
    ['HEAD', '/api/v1/products', null],
    ['GET', '/API/v1/products', null],
  ])('%s %s is %s', (method, path, want) => {
    expect(judge(method, path)).toBe(want);
  });
});

describe('boutique.proto', async () => {
  const { document, operations } = await imported(['boutique.proto']);
  const judge = judgeOf(document);

  test('has 9 services and 15 methods, each its own', () => {
    expect(operations).toHaveLength(15);
    expect(new Set(operations.map(({ tags }) => tags?.join()))).toHaveProperty('size', 9);
    for (const { id } of operations) expect(judge('POST', `/${id}`)).toBe(id);
  });

  test.each([
    ['GET', '/boutique.CartService/AddItem'],
    ['POST', '/boutique.CartService/Steal'],
    ['POST', '/boutique.CartService'],
    ['POST', '/boutique.CartService/'],
    ['POST', '/boutique.CartService/additem'],
    ['POST', '/CartService/AddItem'],
    ['POST', '/boutique.money.Mint/Strike'],
  ])('%s %s is no operation', (method, path) => {
    expect(judge(method, path)).toBeNull();
  });

  test('a service is named by its tag', () => {
    const policy = policyOf([{ name: 'cart', to: [{ operations: ['tag:boutique.CartService'] }] }]);
    const decide = deciderOf(`${document}---\n${policy}`);
    expect(decide('POST', '/boutique.CartService/GetCart').rule).toBe('cart');
    expect(decide('POST', '/boutique.CartService/Steal')).toMatchObject({ effect: 'deny', rule: 'unknown-operation' });
    expect(decide('POST', '/boutique.AdService/GetAds')).toMatchObject({ effect: 'deny', code: 'denied_no_match' });
  });
});

test('a description with ambiguous paths is refused by every verb, and nothing is written', async () => {
  const file = join(place, 'ambiguous.json');
  const get = (operationId: string, ...names: readonly string[]): object => ({
    get: {
      operationId,
      parameters: names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      responses: { 200: { description: 'It' } },
    },
  });
  const paths = { '/{kind}/mine': get('mine', 'kind'), '/books/{id}': get('book', 'id') };
  writeFileSync(file, JSON.stringify({ openapi: '3.0.3', info: { title: 'A', version: '1' }, paths }));
  const sources = { files: [file], protoPath: [], reflection: null };
  const definition = { name: 'a', namespace: null, labels: {}, unknownOperations: null, output: 'yaml' as const };
  for (const run of [
    (io: Streams) => apiImport({ ...sources, ...definition }, io),
    (io: Streams) => apiList({ ...sources, output: 'table' }, io),
  ]) {
    const io = streams();
    expect(await run(io)).toBe(65);
    expect(textOf(io.stdout)).toBe('');
    expect(textOf(io.stderr)).toContain('Cannot import "mine" and "book": GET /books/mine fits both');
  }
  const io = streams();
  expect(await apiLint({ ...sources, output: 'json' }, io)).toBe(65);
  expect(JSON.parse(textOf(io.stdout))).toMatchObject({ severity: 'error', code: 'api_path_ambiguous' });
});

test('docs/apis.md names every finding, in the words of the table', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/apis.md'), 'utf8');
  const row = ([code, { meaning, severity }]: [string, { meaning: string; severity: string }]): string =>
    `| \`${code}\` | ${severity} | ${meaning} |`;
  expect(
    Object.entries(API_FAULTS)
      .map(row)
      .filter((each) => !page.includes(each)),
  ).toEqual([]);
});

test.each([
  ['a name that no document may have', { name: 'Books API' }, 'PN0310'],
  ['a namespace that is none', { namespace: 'a/b' }, 'PN0310'],
])('api import refuses %s, and writes nothing', async (_, changed, code) => {
  const io = streams();
  const sources = { files: [join(DESCRIPTIONS, 'bookinfo-3.1.yaml')], protoPath: [], reflection: null };
  const definition = { name: 'a', namespace: null, labels: {}, unknownOperations: null, output: 'json' as const, ...changed };
  await expect(apiImport({ ...sources, ...definition }, io)).rejects.toThrow(code);
  expect(textOf(io.stdout)).toBe('');
});

test('two descriptions whose paths cross are no one API', async () => {
  const write = (name: string, path: string): string => {
    const paths = {
      [path]: {
        get: { operationId: name, responses: {}, parameters: [{ name: 'x', in: 'path', required: true, type: 'string' }] },
      },
    };
    writeFileSync(
      join(place, name),
      JSON.stringify({ swagger: '2.0', info: { title: 'A', version: '1' }, paths }).replace(
        '"responses":{}',
        '"responses":{"200":{"description":"It"}}',
      ),
    );
    return join(place, name);
  };
  const files = [write('left.json', '/{x}/mine'), write('right.json', '/books/{x}')];
  await expect(imported(files)).rejects.toThrow('fits both');
});

test('of random operations, a request has the most specific that it fits, in both engines', async () => {
  const segment = fc.constantFrom('a', 'b', '{x}');
  const template = fc.array(segment, { minLength: 1, maxLength: 3 });
  const requests = ['a', 'b', 'c'].flatMap((one) => [
    [one],
    ...['a', 'b', 'c'].flatMap((two) => [[one, two], ...['a', 'b', 'c'].map((three) => [one, two, three])]),
  ]);
  let classified = 0;
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(template, { minLength: 1, maxLength: 6, selector: String }), async (templates) => {
      const file = join(place, 'random.json');
      const paths = Object.fromEntries(templates.map((each) => [pathOf(each), { get: operationOf(each) }]));
      writeFileSync(file, JSON.stringify({ openapi: '3.1.0', info: { title: 'A', version: '1' }, paths }));
      const reading = await imported([file]).catch(() => null);
      const best = requests.map((path) => mostSpecific(templates.filter((each) => fits(each, path))));
      // Refused exactly when some request has no single best operation.
      expect(reading === null).toBe(best.includes('ambiguous'));
      if (reading === null) return;
      const judge = judgeOf(reading.document);
      for (const [index, path] of requests.entries()) {
        expect(judge('GET', `/${path.join('/')}`)).toBe(best[index]);
        classified++;
      }
    }),
    { numRuns: 40 },
  );
  expect(classified).toBeGreaterThan(0);
});

test('of an API of 300 operations each request that is of none is told, and it compiles', () => {
  const operations = Array.from({ length: 300 }, (_, index) => ({
    id: `op${index}`,
    method: ['GET', 'POST', 'PUT'][index % 3],
    path: `/r${index}/{*}`,
  }));
  const document = JSON.stringify({
    apiVersion: 'security.postern.mesh/v1alpha1',
    kind: 'APIDefinition',
    metadata: { name: 'api', namespace: 'shop' },
    spec: { selector: { matchLabels: { app: 'books' } }, operations },
  });
  const decide = deciderOf(`${document}\n---\n${policyOf([{ name: 'all' }])}`);
  expect(decide('GET', '/r0/1').effect).toBe('allow');
  expect(decide('PUT', '/r299/1').effect).toBe('allow');
  for (const [method, path] of [
    ['POST', '/r0/1'],
    ['GET', '/r300/1'],
    ['GET', '/r0/'],
    ['DELETE', '/r0/1'],
  ] as const) {
    expect(decide(method, path)).toMatchObject({ effect: 'deny', policy: 'shop/api', rule: 'unknown-operation' });
  }
});

function pathOf(template: readonly string[]): string {
  return `/${template.map((segment, index) => (segment === '{x}' ? `{x${index}}` : segment)).join('/')}`;
}

function operationOf(template: readonly string[]): object {
  const parameters = template.flatMap((segment, index) =>
    segment === '{x}' ? [{ name: `x${index}`, in: 'path', required: true, schema: { type: 'string' } }] : [],
  );
  return { operationId: template.join('.'), parameters, responses: { 200: { description: 'It' } } };
}

function fits(template: readonly string[], path: readonly string[]): boolean {
  return template.length === path.length && template.every((segment, index) => segment === '{x}' || segment === path[index]);
}

/** The one whose literals are a superset of every other's. */
function mostSpecific(fitting: readonly (readonly string[])[]): string | null {
  if (fitting.length === 0) return null;
  const isWithin = (inner: readonly string[], outer: readonly string[]): boolean =>
    inner.every((segment, index) => outer[index] === '{x}' || outer[index] === segment);
  const best = fitting.find((each) => fitting.every((other) => isWithin(each, other)));
  return best === undefined ? 'ambiguous' : best.join('.');
}

interface Imported {
  readonly document: string;
  readonly operations: readonly { readonly id: string; readonly tags?: readonly string[] }[];
}

async function imported(files: readonly string[]): Promise<Imported> {
  const io = streams();
  const status = await apiImport(
    {
      files: files.map((file) => join(file.startsWith('/') ? '' : DESCRIPTIONS, file)),
      protoPath: [],
      reflection: null,
      name: 'api',
      namespace: 'shop',
      labels: { app: 'books' },
      unknownOperations: 'Deny',
      output: 'yaml',
    },
    io,
  );
  if (status !== 0) throw new Error(textOf(io.stderr));
  const document = textOf(io.stdout);
  return { document, operations: readPolicies(document, 'api.yaml').set.apis.flatMap(({ operations }) => operations) };
}

/** The id of the operation that a request is of. */
function judgeOf(document: string): (method: string, path: string) => string | null {
  const { faults, set } = readPolicies(document, 'api.yaml');
  expect(faults).toEqual([]);
  const ids = set.apis.flatMap(({ operations }) => operations.map(({ id }) => id));
  const decide = deciderOf(
    `${document}---\n${policyOf(ids.map((id, index) => ({ name: `r${index}`, to: [{ operations: [id] }] })))}`,
  );
  return (method, path) => {
    const { effect, rule } = decide(method, path);
    return effect === 'allow' ? (ids[Number(rule?.slice(1))] ?? null) : null;
  };
}

function policyOf(rules: readonly object[]): string {
  return JSON.stringify({
    apiVersion: 'security.postern.mesh/v1alpha1',
    kind: 'AccessPolicy',
    metadata: { name: 'callers', namespace: 'shop' },
    spec: { apiRef: { name: 'api' }, rules },
  });
}

function deciderOf(documents: string): (method: string, path: string) => Decision {
  const { faults, set } = readPolicies(documents, 'policies.yaml');
  expect(faults).toEqual([]);
  const options = { rootNamespace: 'istio-system', trustDomain: 'cluster.local', trustDomainAliases: [] };
  const selected = selectPolicies(set, WORKLOAD, options);
  const compiled = compileSelected(selected, 2);
  const engine = loadEngine(compiled, ENGINE);
  return (method, path) => {
    const made = decideOnce(engine, inputOf(method, path));
    expect(made).toEqual(interpret(selected, inputOf(method, path), { ...ENGINE, revision: compiled.revision }));
    return made;
  };
}

function inputOf(method: string, path: string): AuthzInput {
  return {
    connection: {
      principal: 'spiffe://cluster.local/ns/shop/sa/web',
      sourceIp: '10.0.0.1',
      remoteIp: '10.0.0.1',
      destinationIp: '10.0.0.2',
      destinationPort: 8080,
      sni: null,
      tls: true,
      protocol: 'http',
    },
    request: { method, authority: 'books.shop', path, fields: { values: () => [] }, tokens: [] },
  };
}

interface Streams {
  readonly stdin: Readable;
  readonly stdout: PassThrough;
  readonly stderr: PassThrough;
}

function streams(): Streams {
  return { stdin: Readable.from([]), stdout: new PassThrough(), stderr: new PassThrough() };
}

function textOf(stream: PassThrough): string {
  return String(stream.read() ?? '');
}
