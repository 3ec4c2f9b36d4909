/**
 * Our proxy-wasm module in a real Envoy, one for each of many policy sets made to find faults, against the interpreter over live
 * requests: identity by client certificate, addresses by PROXY protocol and x-forwarded-for, claims by signed tokens.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { PosternError } from '#base/error.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { SampleMaker, seededRandom } from '#authz/engine/samples.ts';
import { policiesOf } from '#authz/plan/compile.ts';
import { compileForProxyWasm } from '#authz/plan/compile-shell.ts';
import type { Policy, Rule } from '#authz/policy/model.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';
import { peer } from '#test/support/peers.ts';
import { adversarialPolicies } from '#test/conformance/policy/adversarial.ts';
import { askableConnection, askableRequest, inputOf } from '#test/conformance/policy/askable.ts';
import { COMPILE_OPTIONS, WORKLOAD } from '#test/conformance/policy/realistic.ts';
import { isCanonical } from '#test/conformance/policy/shell-input.ts';

import { EnvoyOracle } from './envoy-rbac.ts';
import type { FilterChain } from './envoy-rbac.ts';

const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);
const SETS = Number(process.env['POSTERN_ENVOY_SETS'] ?? 24);
const CONNECTIONS = 10;
const REQUESTS_EACH = 8;
const envoy = peer('envoy');

describe.skipIf(envoy === null)(`the proxy-wasm module in a real Envoy, seed ${SEED}`, () => {
  const random = seededRandom(SEED);
  const folder = mkdtempSync(join(tmpdir(), 'postern-proxy-wasm-'));
  const sets = setsOf(SETS, random);
  let oracle: EnvoyOracle;

  beforeAll(async () => {
    oracle = await EnvoyOracle.start(
      envoy ?? '',
      sets.map(({ name, wasm }) => chainOf(name, wasm, folder)),
    );
  }, 60_000);

  afterAll(async () => {
    await oracle[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('decides as the interpreter does', { timeout: 120_000 }, async () => {
    const differences: string[] = [];
    let allowed = 0;
    let count = 0;
    for (const { name, set } of sets) {
      const maker = new SampleMaker(set, random);
      for (let connections = 0, tries = 0; connections < CONNECTIONS && tries < 500; tries++) {
        const connection = askableConnection(maker.next().connection);
        const requests = Array.from({ length: REQUESTS_EACH }, () => maker.next())
          .filter(isCanonical)
          .map(askableRequest)
          .filter((request) => request !== null);
        if (connection === null || requests.length === 0) continue;
        connections++;
        const answers = await oracle.askHttp(name, connection, requests);
        for (const [index, { isAllowed, status }] of answers.entries()) {
          const request = requests[index] ?? null;
          const wanted = interpret(set, inputOf(connection, request), { revision: '', whenNoneSelects: 'allow' });
          count++;
          if (isAllowed) allowed++;
          // An error of the engine is a 500 there.
          const wantedStatus = wanted.effect === 'allow' ? 200 : wanted.code === 'engine_error' ? 500 : 403;
          if (status === wantedStatus) continue;
          const { policies } = set;
          differences.push(
            JSON.stringify({ status, wanted, connection, request, policies }, (key, value: unknown) =>
              key === 'position' || (Array.isArray(value) && value.length === 0) ? undefined : value,
            ).slice(0, 3000),
          );
        }
      }
    }
    expect(differences.slice(0, 2)).toEqual([]);
    expect(count).toBeGreaterThan(SETS * CONNECTIONS * 2);
    expect(allowed / count).toBeGreaterThan(0.2);
    expect(allowed / count).toBeLessThan(0.8);
  });
});

interface CompiledSet {
  readonly name: string;
  readonly set: WorkloadPolicies;
  readonly wasm: Uint8Array;
}

/** Sets that the module can express: where they speak of the socket's peer they are made to speak of the client instead. */
function setsOf(count: number, random: () => number): readonly CompiledSet[] {
  const sets: CompiledSet[] = [];
  while (sets.length < count) {
    const policies = adversarialPolicies(random).map((policy): Policy => ({ ...policy, rules: policy.rules.map(ofClient) }));
    const set = policiesOf(policies, WORKLOAD, COMPILE_OPTIONS);
    try {
      sets.push({ name: `set ${sets.length}`, set, wasm: compileForProxyWasm(set, { whenNoneSelects: 'allow' }) });
    } catch (error) {
      if (!(error instanceof PosternError && error.code === 'policy_not_expressible')) throw error;
    }
  }
  return sets;
}

function ofClient(rule: Rule): Rule {
  const from = rule.from.map((source) => ({
    ...source,
    ipBlocks: [],
    notIpBlocks: [],
    remoteIpBlocks: [...source.remoteIpBlocks, ...source.ipBlocks],
    notRemoteIpBlocks: [...source.notRemoteIpBlocks, ...source.notIpBlocks],
  }));
  const when = rule.when.map((condition) => (condition.key === 'source.ip' ? { ...condition, key: 'remote.ip' } : condition));
  return { ...rule, from, when };
}

function chainOf(name: string, wasm: Uint8Array, folder: string): FilterChain {
  const filename = join(folder, `${name.replace(' ', '-')}.wasm`);
  writeFileSync(filename, wasm);
  const filter = {
    name: 'envoy.filters.http.wasm',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm',
      config: {
        name,
        root_id: name,
        vm_config: { vm_id: name, runtime: 'envoy.wasm.runtime.v8', code: { local: { filename } } },
      },
    },
  };
  return { name, isTcp: false, filters: [filter] };
}
