/**
 * What the policy engine must do, without a test runner: the verdicts worked out by hand, the documents that must be refused, the
 * good one, and random pairs. The tests run it on the engine as it is; the planted faults run it on broken copies, which it has to
 * find out.
 */
import { interpret } from '#authz/engine/interpreter.ts';
import { loadEngine } from '#authz/engine/load.ts';
import { SampleMaker, seededRandom } from '#authz/engine/samples.ts';
import { decideOnce, differenceOf } from '#authz/engine/self-test.ts';
import { compilePolicies, compileSelected, policiesOf } from '#authz/plan/compile.ts';
import type { FieldSource } from '#authz/engine/input.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';
import type { Policy } from '#authz/policy/model.ts';
import { readPolicies } from '#authz/policy/read.ts';

import { adversarialPolicies } from './adversarial.ts';
import { adversarialSet } from './adversarial-sets.ts';
import { ENGINES } from './engines.ts';
import { regexFailures } from './regexes.ts';
import { GOOD_DOCUMENT, REFUSED } from './reader.cases.ts';
import type { RefusedDocument } from './reader.cases.ts';
import { COMPILE_OPTIONS, WORKLOAD, realisticPolicies } from './realistic.ts';
import { strictCases } from './strict-cases.ts';
import { VERDICTS, verdictInput } from './verdicts.cases.ts';
import type { VerdictCase } from './verdicts.cases.ts';

const OPTIONS = { ...COMPILE_OPTIONS, trustDomainAliases: ['alias.test'] };

/** Everything, up to the first part that fails; its failures in words, none when all is well. */
export function runSuite(pairs: number, seed: number): readonly string[] {
  const random = seededRandom(seed);
  const setOf = (policies: readonly Policy[]): WorkloadPolicies => policiesOf(policies, WORKLOAD, OPTIONS);
  const realistic = (): WorkloadPolicies => setOf(realisticPolicies(1 + Math.floor(random() * 60), random));
  const compared = (perSet: number, make: () => WorkloadPolicies, part: number): readonly string[] =>
    comparePairs(pairs / 3, perSet, make, seed + part).differences;
  const parts: readonly (() => readonly string[])[] = [
    () => REFUSED.flatMap(refusedFailures),
    goodFailures,
    selectionFailures,
    aliasFailures,
    () => VERDICTS.flatMap(verdictFailures),
    addressFailures,
    strictFailures,
    () => compared(10, () => setOf(adversarialPolicies(random)), 1),
    () => compared(6, () => adversarialSet(random), 2),
    () => compared(12, realistic, 0),
    () => regexFailures(500, seededRandom(seed)),
  ];
  for (const part of parts) {
    const failures = part();
    if (failures.length > 0) return failures;
  }
  return [];
}

export function refusedFailures({ why, text, code, line }: RefusedDocument): readonly string[] {
  const [first] = readPolicies(text, 'f.yaml').faults;
  const found = first === undefined ? 'nothing' : `${first.code} in line ${first.line}`;
  return found === `${code} in line ${line}` ? [] : [`${why}: wanted ${code} in line ${line}, found ${found}`];
}

export function goodFailures(): readonly string[] {
  const { policies, faults } = readPolicies(GOOD_DOCUMENT, 'f.yaml');
  const [policy] = policies;
  const told = policy === undefined ? faults.map(({ message }) => message).join() : describePolicy(policy);
  return told === GOOD ? [] : [`the good document was read as ${told}`];
}

/** Addresses in unusual forms: the module for OPA reads the text itself. */
export function addressFailures(): readonly string[] {
  const spec =
    '{ action: DENY, rules: [{ from: [{ source: { ipBlocks: ["0.0.0.0/1", "2001:db8::/33", "::1", "::ffff:a00:0/104"] } }] }] }';
  const text = `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: a }\nspec: ${spec}`;
  const set = policiesOf(readPolicies(text, 'f.yaml').policies, WORKLOAD, OPTIONS);
  const options = { revision: '', whenNoneSelects: 'deny' } as const;
  const decides = COMPARED.flatMap(({ load, name }) => {
    const decide = load(set, options);
    return decide === null ? [] : [{ name, decide }];
  });
  return ADDRESSES.flatMap((sourceIp) => {
    const input = { connection: { ...verdictInput({}).connection, sourceIp }, request: verdictInput({}).request };
    const wanted = interpret(set, input, options).effect;
    return decides.flatMap(({ decide, name }) => {
      const made = decide(input);
      return made === null || made.effect === wanted ? [] : [`${name} says ${made.effect} of ${sourceIp}`];
    });
  });
}

/** Sets and inputs chosen by hand, on every engine. */
export function strictFailures(): readonly string[] {
  const options = { revision: '', whenNoneSelects: 'deny' } as const;
  return strictCases().flatMap(({ about, inputs, set }) =>
    COMPARED.flatMap(({ isTerse = false, load, name }) => {
      const decide = load(set, options);
      return inputs.flatMap((input, index) => {
        const made = decide?.(input) ?? null;
        const wanted = interpret(set, input, options);
        if (made === null || (isTerse && made.effect === 'allow' && wanted.effect === 'allow')) return [];
        const difference = differenceOf(made, wanted);
        return difference === null ? [] : [`${about}, input ${index}, ${name}: ${difference}`];
      });
    }),
  );
}

/** Which policies select a workload. */
export function selectionFailures(): readonly string[] {
  const read = (metadata: string, spec: string): readonly Policy[] =>
    readPolicies(
      `apiVersion: security.istio.io/v1beta1\nkind: AuthorizationPolicy\nmetadata: ${metadata}\nspec: ${spec}`,
      'f.yaml',
    ).policies;
  const cases: readonly (readonly [string, string, number])[] = [
    ['{ name: a, namespace: shop }', '{}', 1],
    ['{ name: a }', '{}', 1],
    ['{ name: a, namespace: other }', '{}', 0],
    ['{ name: a, namespace: istio-system }', '{}', 1],
    ['{ name: a, namespace: shop }', '{ selector: { matchLabels: { app: orders } } }', 1],
    ['{ name: a, namespace: istio-system }', '{ selector: { matchLabels: { app: orders } } }', 1],
    ['{ name: a, namespace: shop }', '{ selector: { matchLabels: { app: web } } }', 0],
    ['{ name: a, namespace: shop }', '{ selector: { matchLabels: { app: orders, version: v1 } } }', 0],
    ['{ name: a, namespace: shop }', '{ targetRefs: [{ kind: Gateway, name: g }] }', 0],
  ];
  return cases.flatMap(([metadata, spec, wanted]) => {
    const { selected } = compilePolicies(read(metadata, spec), WORKLOAD, OPTIONS);
    return selected === wanted ? [] : [`${metadata} ${spec}: selected ${selected}, wanted ${wanted}`];
  });
}

/** Principals of the sidecar's own trust domain go by its aliases, too, and `cluster.local` always means the own one. */
export function aliasFailures(): readonly string[] {
  const text = `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: a }\nspec: { rules: [{ from: [{ source: { principals: [cluster.local/ns/a/sa/b, old.test/ns/c/sa/d] } }] }] }`;
  const { policies } = readPolicies(text, 'f.yaml');
  const options = { rootNamespace: 'istio-system', trustDomain: 'own.test', trustDomainAliases: ['old.test'] };
  const compiled = compilePolicies(policies, WORKLOAD, options);
  const engine = loadEngine(compiled, { whenNoneSelects: 'deny' });
  const set = policiesOf(policies, WORKLOAD, options);
  const wanted: readonly (readonly [string, 'allow' | 'deny'])[] = [
    ['own.test/ns/a/sa/b', 'allow'],
    ['old.test/ns/a/sa/b', 'allow'],
    ['cluster.local/ns/a/sa/b', 'deny'],
    ['own.test/ns/c/sa/d', 'allow'],
    ['old.test/ns/c/sa/d', 'allow'],
    ['cluster.local/ns/c/sa/d', 'deny'],
  ];
  return wanted.flatMap(([principal, effect]) => {
    const input = verdictInput({ principal: `spiffe://${principal}` });
    const answers = [decideOnce(engine, input), interpret(set, input, { revision: '', whenNoneSelects: 'deny' })];
    return answers.some((answer) => answer.effect !== effect) ? [`aliases: ${principal} is not answered by ${effect}`] : [];
  });
}

export function verdictFailures({ about, specs, allows, denies }: VerdictCase): readonly string[] {
  const text = specs
    .map((spec, index) => {
      const namespace = spec.startsWith('~') ? 'istio-system' : 'shop';
      return `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p${index}, namespace: ${namespace} }\nspec: ${spec.replace(/^~/, '')}`;
    })
    .join('\n---\n');
  const { policies, faults } = readPolicies(text, about);
  if (faults.length > 0) return [`${about}: ${faults.map(({ message }) => message).join('; ')}`];
  const compiled = compilePolicies(policies, WORKLOAD, OPTIONS);
  const engine = loadEngine(compiled, { whenNoneSelects: 'deny' });
  const set = policiesOf(policies, WORKLOAD, OPTIONS);
  const wanted = [...allows.map((patch) => ({ patch, effect: 'allow' })), ...denies.map((patch) => ({ patch, effect: 'deny' }))];
  return wanted.flatMap(({ patch, effect }) => {
    const input = verdictInput(patch);
    const module = decideOnce(engine, input);
    const interpreted = interpret(set, input, { revision: compiled.revision, whenNoneSelects: 'deny' });
    const difference = differenceOf(module, interpreted);
    if (difference !== null) return [`${about} ${JSON.stringify(patch)}: ${difference}`];
    return module.effect === effect
      ? []
      : [`${about} ${JSON.stringify(patch)}: ${module.effect} (${module.code}), wanted ${effect}`];
  });
}

export interface Tally {
  pairs: number;
  allowed: number;
  /** Decisions by engine. */
  readonly asked: Record<string, number>;
  readonly differences: string[];
}

/**
 * Every engine against the interpreter, `perSet` requests on each set of policies that `make` gives; an engine is passed over where
 * it cannot be asked.
 */
export function comparePairs(pairs: number, perSet: number, make: () => WorkloadPolicies, seed: number): Tally {
  const random = seededRandom(seed);
  const tally: Tally = { pairs: 0, allowed: 0, asked: {}, differences: [] };
  while (tally.pairs < pairs && tally.differences.length < 3) {
    const set = make();
    const options = { revision: '', whenNoneSelects: random() < 0.5 ? 'allow' : 'deny' } as const;
    const loaded = COMPARED.map(({ isTerse = false, load, name }) => ({ isTerse, name, decide: load(set, options) }));
    const maker = new SampleMaker(set, random);
    for (let index = 0; index < perSet; index++) {
      const input = maker.next();
      const wanted = interpret(set, input, options);
      tally.pairs++;
      if (wanted.effect === 'allow') tally.allowed++;
      for (const { decide, isTerse, name } of loaded) {
        const made = decide?.(input) ?? null;
        if (made === null) continue;
        tally.asked[name] = (tally.asked[name] ?? 0) + 1;
        const difference = isTerse && made.effect === 'allow' && wanted.effect === 'allow' ? null : differenceOf(made, wanted);
        if (difference === null) continue;
        const headers = input.request === null ? null : headersOf(set, input.request.fields);
        tally.differences.push(JSON.stringify({ name, difference, input, headers, set }, withoutEmpty).slice(0, 4000));
      }
    }
  }
  return tally;
}

function headersOf(set: WorkloadPolicies, fields: FieldSource): object {
  return Object.fromEntries(compileSelected(set, 1).headerNames.map((name) => [name, fields.values(name)]));
}

function describePolicy(policy: Policy): string {
  return inKeyOrder(policy);
}

/** As JSON, whatever order members were written in. */
function inKeyOrder(value: object): string {
  const sorted = (inner: unknown): unknown =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([left], [right]) => (left < right ? -1 : 1)))
      : inner;
  return JSON.stringify(value, (key, inner: unknown) => sorted(withoutEmpty(key, inner)));
}

function withoutEmpty(key: string, value: unknown): unknown {
  return key === 'position' || (Array.isArray(value) && value.length === 0) ? undefined : value;
}

const GOOD = inKeyOrder({
  namespace: 'shop',
  name: 'orders',
  mode: 'enforce',
  provider: null,
  scope: null,
  validity: null,
  action: 'DENY',
  selector: { app: 'orders', version: 'v1' },
  isForGateways: false,
  rules: [
    {
      name: 'read',
      from: [
        {
          principals: ['a'],
          notPrincipals: ['b'],
          requestPrincipals: ['c'],
          notRequestPrincipals: ['d'],
          namespaces: ['e'],
          notNamespaces: ['f'],
        },
        {
          serviceAccounts: ['g'],
          notServiceAccounts: ['h'],
          trustDomains: ['i'],
          notTrustDomains: ['j'],
          ipBlocks: ['1.1.1.1'],
          notIpBlocks: ['2.2.2.2'],
          remoteIpBlocks: ['3.3.3.3'],
          notRemoteIpBlocks: ['4.4.4.4'],
        },
      ],
      to: [
        {
          hosts: ['k'],
          notHosts: ['l'],
          ports: ['1'],
          notPorts: ['2'],
          methods: ['m'],
          notMethods: ['n'],
          paths: ['/o'],
          notPaths: ['/p'],
        },
      ],
      when: [{ key: 'request.headers[X]', values: ['q'], notValues: ['r'] }],
    },
    { name: 'write' },
  ],
});

const COMPARED = ENGINES.filter(({ name }) => name !== 'interpreter');
const ADDRESSES = [
  ...[
    '1.2.3.4',
    '127.255.255.255',
    '128.0.0.0',
    '256.1.1.1',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.4 ',
    '1..2.3',
    '',
    '1.2.3.1000',
  ],
  ...[
    '::',
    '::1',
    '::1:',
    ':::1',
    '1::2::3',
    '2001:db8::',
    '2001:db8:0:0:0:0:0:1',
    '2001:db8:7fff::1',
    '2001:db8:8000::1',
    '2001:DB8::A',
  ],
  ...[
    '::ffff:10.1.2.3',
    '::ffff:a01:203',
    '::ffff:200.1.2.3',
    '64:ff9b::1.2.3.4',
    '1:2:3:4:5:6:1.2.3.4',
    '1:2:3:4:5:6:7:1.2.3.4',
  ],
  ...[
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::',
    '::2:3:4:5:6:7:8',
    '2001:db8::12345',
    'g::',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7:8::',
    '0::0:1',
  ],
];
