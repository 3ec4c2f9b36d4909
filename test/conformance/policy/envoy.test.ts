/**
 * A real Envoy, configured with the RBAC filters that Istio generates, against the module and the interpreter: every golden case of
 * ALLOW and DENY on 500 requests made from its policy, half of them allowed where that can be.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { ConnectionAttributes } from '#authz/engine/input.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { loadEngine } from '#authz/engine/load.ts';
import { SampleMaker, seededRandom } from '#authz/engine/samples.ts';
import { decideOnce, differenceOf } from '#authz/engine/self-test.ts';
import { compilePolicies, policiesOf } from '#authz/plan/compile.ts';
import type { Operation, Rule, Source } from '#authz/policy/model.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';
import { EnvoyOracle } from '#test/peers/envoy-rbac.ts';
import type { OracleRequest } from '#test/peers/envoy-rbac.ts';
import { peer } from '#test/support/peers.ts';
import { vectorsDir } from '#test/support/vectors.ts';

import { askableConnection, askableRequest, inputOf } from './askable.ts';
import { GOLDEN_WORKLOAD, readGoldens } from './goldens.ts';
import type { Golden } from './goldens.ts';

const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);
const REQUESTS = 500;
const vectors = vectorsDir();
const envoy = peer('envoy');
const goldens = vectors === null || envoy === null ? [] : readGoldens(vectors);

/** Cases whose policies allow everything or nothing: there is nothing but agreement to see. */
const CONSTANT: ReadonlySet<string> = new Set([
  'http/allow-empty-rule',
  'http/allow-nil-rule',
  'http/deny-empty-rule',
  'http/allow-path',
  'http/single-policy',
  'tcp/allow-only-http',
  'tcp/deny-both-http-tcp',
]);

describe.skipIf(goldens.length === 0)(`Istio's rules in a real Envoy, seed ${SEED}`, () => {
  let oracle: EnvoyOracle;

  beforeAll(async () => {
    oracle = await EnvoyOracle.start(
      envoy ?? '',
      goldens.map(({ chain }) => chain),
    );
  });

  afterAll(async () => {
    await oracle[Symbol.asyncDispose]();
  });

  test.each(goldens.map((golden) => ({ name: golden.name, golden })))('$name', { timeout: 60_000 }, async ({ golden }) => {
    const judge = new Judge(golden);
    const asked = judge.samples();
    const differences: string[] = [];
    let allowed = 0;
    let count = 0;
    for (const { connection, requests } of asked) {
      const answers = golden.isTcp
        ? [await oracle.askTcp(golden.name, connection)]
        : await oracle.askHttp(golden.name, connection, requests);
      for (const [index, answer] of answers.entries()) {
        const request = requests[index] ?? null;
        const isAllowed = judge.allows(connection, request);
        count++;
        if (answer.isAllowed) allowed++;
        if (isAllowed === answer.isAllowed || judge.isListedDeviation(connection, isAllowed)) continue;
        differences.push(JSON.stringify({ envoy: answer, ours: isAllowed, connection, request }));
      }
    }
    expect(differences.slice(0, 3)).toEqual([]);
    expect(count).toBe(REQUESTS);
    if (CONSTANT.has(golden.name)) expect([0, 1]).toContain(allowed / count);
    else {
      expect(allowed / count).toBeGreaterThan(0.3);
      expect(allowed / count).toBeLessThan(0.7);
      expect(judge.inertFields(asked)).toEqual(INERT[golden.name] ?? []);
    }
  });
});

interface Asked {
  readonly connection: ConnectionAttributes;
  readonly requests: readonly OracleRequest[];
}

class Judge {
  readonly #set: WorkloadPolicies;
  readonly #engine;
  readonly #revision: string;
  readonly #random = seededRandom(SEED);
  readonly #maker: SampleMaker;
  readonly #golden: Golden;

  constructor(golden: Golden) {
    this.#golden = golden;
    this.#set = policiesOf(golden.policies, GOLDEN_WORKLOAD, golden.options);
    const compiled = compilePolicies(golden.policies, GOLDEN_WORKLOAD, golden.options);
    this.#revision = compiled.revision;
    this.#engine = loadEngine(compiled, { whenNoneSelects: 'deny' });
    this.#maker = new SampleMaker(this.#set, this.#random);
  }

  /** First what each field of the policies makes a difference to, then as many allowed as denied, as long as both come up. */
  samples(): readonly Asked[] {
    const asked: Asked[] = this.#telling();
    const wanted = { allow: REQUESTS / 2, deny: REQUESTS / 2 };
    let left = REQUESTS;
    const take = (connection: ConnectionAttributes, request: OracleRequest | null, isPicky: boolean): boolean => {
      const effect = this.allows(connection, request) ? 'allow' : 'deny';
      if (isPicky && wanted[effect] <= 0) return false;
      wanted[effect]--;
      left--;
      return true;
    };
    for (const { connection, requests } of asked) take(connection, requests[0] ?? null, false);
    for (let tries = 0; left > 0 && tries < MAX_TRIES; tries++) {
      const connection = askableConnection(this.#maker.next().connection);
      if (connection === null) continue;
      const isPicky = tries < MAX_TRIES / 2;
      if (this.#golden.isTcp) {
        if (take(connection, null, isPicky)) asked.push({ connection, requests: [] });
        continue;
      }
      const requests: OracleRequest[] = [];
      for (let index = 0; index < GROUP && left > 0; index++) {
        const request = askableRequest(this.#maker.next());
        if (request !== null && take(connection, request, isPicky)) requests.push(request);
      }
      if (requests.length > 0) asked.push({ connection, requests });
    }
    return asked;
  }

  /** For each field a request that is decided otherwise without it. */
  #telling(): Asked[] {
    const asked: Asked[] = [];
    if (CONSTANT.has(this.#golden.name)) return asked;
    for (const { without } of fieldPaths(this.#set)) {
      for (let tries = 0; tries < MAX_TRIES / 4; tries++) {
        const made = this.#maker.next();
        const connection = askableConnection(made.connection);
        const request = this.#golden.isTcp ? null : askableRequest(made);
        if (connection === null || (request === null && !this.#golden.isTcp)) continue;
        const input = inputOf(connection, request);
        const effect = (set: WorkloadPolicies): string => interpret(set, input, { revision: '', whenNoneSelects: 'deny' }).effect;
        if (effect(this.#set) === effect(without)) continue;
        asked.push({ connection, requests: request === null ? [] : [request] });
        break;
      }
    }
    return asked;
  }

  /** By module and interpreter, which must agree. */
  allows(connection: ConnectionAttributes, request: OracleRequest | null): boolean {
    const input = inputOf(connection, request);
    const wanted = interpret(this.#set, input, { revision: this.#revision, whenNoneSelects: 'deny' });
    const difference = differenceOf(decideOnce(this.#engine, input), wanted);
    if (difference !== null) throw new Error(`${this.#golden.name}: the decision ${difference}: ${JSON.stringify(input)}`);
    return wanted.effect === 'allow';
  }

  /** Namespaces and accounts are read of own, well-formed identities only; a stricter reading may only deny. */
  isListedDeviation({ principal }: ConnectionAttributes, isAllowed: boolean): boolean {
    if (isAllowed || principal === null) return false;
    const match = /^spiffe:\/\/([^/]+)\/ns\/[^/]+\/sa\/[^/]+$/.exec(principal);
    return match === null || !this.#set.trustDomains.includes(match[1] ?? '');
  }

  /** Fields of the policies without which no verdict would have been another. */
  inertFields(asked: readonly Asked[]): readonly string[] {
    const inputs = asked.flatMap(({ connection, requests }) =>
      this.#golden.isTcp ? [inputOf(connection, null)] : requests.map((request) => inputOf(connection, request)),
    );
    const effects = (set: WorkloadPolicies): string =>
      inputs.map((input) => interpret(set, input, { revision: '', whenNoneSelects: 'deny' }).effect).join(',');
    const before = effects(this.#set);
    return fieldPaths(this.#set)
      .filter(({ without }) => effects(without) === before)
      .map(({ path }) => path);
  }
}

/** The set with each field of each source, operation and condition taken away in turn. */
function fieldPaths(set: WorkloadPolicies): readonly { path: string; without: WorkloadPolicies }[] {
  const found: { path: string; without: WorkloadPolicies }[] = [];
  for (const [policyIndex, policy] of set.policies.entries()) {
    for (const [ruleIndex, rule] of policy.rules.entries()) {
      const replaced = (changed: Partial<Rule>): WorkloadPolicies => ({
        ...set,
        policies: set.policies.with(policyIndex, { ...policy, rules: policy.rules.with(ruleIndex, { ...rule, ...changed }) }),
      });
      const path = `${policy.name}#${rule.name}`;
      if (UNSATISFIABLE.has(path)) continue;
      for (const [index, source] of rule.from.entries()) {
        for (const { field, without } of fieldsOf<Source>(source))
          found.push({ path: `${path} from[${index}].${field}`, without: replaced({ from: rule.from.with(index, without) }) });
      }
      for (const [index, operation] of rule.to.entries()) {
        for (const { field, without } of fieldsOf<Operation>(operation))
          found.push({ path: `${path} to[${index}].${field}`, without: replaced({ to: rule.to.with(index, without) }) });
      }
      for (const [index, { key }] of rule.when.entries())
        found.push({ path: `${path} when ${key}`, without: replaced({ when: rule.when.toSpliced(index, 1) }) });
    }
  }
  return found;
}

function fieldsOf<T extends Source | Operation>(fields: T): readonly { field: string; without: T }[] {
  return Object.entries(fields)
    .filter(([, values]: [string, readonly string[]]) => values.length > 0)
    .map(([field]) => ({ field, without: { ...fields, [field]: [] } }));
}

/** Rules that no request can satisfy, because they want and exclude the same. */
const UNSATISFIABLE: ReadonlySet<string> = new Set(['httpbin-1#1']);

/** Fields that cannot matter, with the reason. */
const INERT: Readonly<Record<string, readonly string[]>> = {
  // The identities that serviceAccounts admits are one account each, none of the excluded ones.
  'http/allow-full-rule': ['httpbin-1#0 from[0].notServiceAccounts'],
  // Among its values is "*", and whoever has a namespace has an identity.
  'http/trust-domain-aliases-in-source-principal': ['httpbin#0 when source.principal'],
  // Rules with a field of HTTP are dropped from ALLOW on raw TCP.
  'tcp/allow-both-http-tcp': [
    'httpbin-deny#0 from[0].requestPrincipals',
    'httpbin-deny#0 to[0].methods',
    'httpbin-deny#1 from[0].namespaces',
    'httpbin-deny#1 to[0].ports',
    'httpbin-deny#2 from[0].namespaces',
    'httpbin-deny#2 to[0].ports',
  ],
};

const GROUP = 12;
const MAX_TRIES = 20_000;
