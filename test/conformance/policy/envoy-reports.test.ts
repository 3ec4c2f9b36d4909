/**
 * Istio's golden cases of CUSTOM, AUDIT and dry run in a real Envoy: their rules are given to Envoy as rules that deny, so that it
 * says what they match; module and interpreter must match the same.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { ConnectionAttributes, Decision } from '#authz/engine/input.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { loadEngine } from '#authz/engine/load.ts';
import { SampleMaker, seededRandom } from '#authz/engine/samples.ts';
import { decideOnce, differenceOf } from '#authz/engine/self-test.ts';
import { compilePolicies, policiesOf } from '#authz/plan/compile.ts';
import { EnvoyOracle } from '#test/peers/envoy-rbac.ts';
import type { OracleRequest } from '#test/peers/envoy-rbac.ts';
import { peer } from '#test/support/peers.ts';
import { vectorsDir } from '#test/support/vectors.ts';

import { askableConnection, askableRequest, inputOf } from './askable.ts';
import { GOLDEN_WORKLOAD, readReportGoldens } from './goldens.ts';
import type { ReportGolden } from './goldens.ts';

const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);
const REQUESTS = 200;
const vectors = vectorsDir();
const envoy = peer('envoy');
const goldens = vectors === null || envoy === null ? [] : readReportGoldens(vectors);

/** Cases whose rules match everything that can be asked, or nothing. */
const CONSTANT: ReadonlySet<string> = new Set([
  'http/audit-full-rule-0',
  'tcp/audit-both-http-tcp-0',
  'tcp/custom-both-http-tcp-0',
]);

describe.skipIf(goldens.length === 0)(`Istio's reports in a real Envoy, seed ${SEED}`, () => {
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

  test.each(goldens.map((golden) => ({ name: golden.name, golden })))('$name', { timeout: 60_000 }, async ({ golden, name }) => {
    const random = seededRandom(SEED);
    const set = policiesOf(golden.policies, GOLDEN_WORKLOAD, golden.options);
    const compiled = compilePolicies(golden.policies, GOLDEN_WORKLOAD, golden.options);
    const engine = loadEngine(compiled, { whenNoneSelects: 'deny' });
    const maker = new SampleMaker(set, random);
    let matched = 0;
    let count = 0;
    for (let tries = 0; count < REQUESTS && tries < REQUESTS * 20; tries++) {
      const made = maker.next();
      // What is made fits the rules more often than not.
      const isElsewhere = random() < 0.4;
      const found = askableConnection(made.connection);
      const connection = found !== null && isElsewhere ? { ...found, destinationPort: 4711 } : found;
      const asked = golden.isTcp ? null : askableRequest(made);
      const request = asked !== null && isElsewhere ? { ...asked, rawPath: '/elsewhere' } : asked;
      if (connection === null || (request === null && !golden.isTcp)) continue;
      const input = inputOf(connection, request);
      const answer = decideOnce(engine, input);
      const wanted = interpret(set, input, { revision: compiled.revision, whenNoneSelects: 'deny' });
      expect(differenceOf(answer, wanted)).toBeNull();
      const isMatched = isMatchedBy(golden, answer);
      const isDenied = !(await ask(oracle, golden, connection, request));
      expect({ input, isMatched }).toEqual({ input, isMatched: isDenied });
      if (isMatched) matched++;
      count++;
    }
    expect(count).toBe(REQUESTS);
    if (CONSTANT.has(name)) expect([0, count]).toContain(matched);
    else {
      expect(matched / count).toBeGreaterThan(0.2);
      expect(matched / count).toBeLessThan(0.8);
    }
  });
});

async function ask(
  oracle: EnvoyOracle,
  golden: ReportGolden,
  connection: ConnectionAttributes,
  request: OracleRequest | null,
): Promise<boolean> {
  if (request === null) return (await oracle.askTcp(golden.name, connection)).isAllowed;
  const [answer] = await oracle.askHttp(golden.name, connection, [request]);
  return answer?.isAllowed === true;
}

/** Whether a rule of the policies that the filter is about matched, as our answer tells it. */
function isMatchedBy({ about, kind }: ReportGolden, answer: Decision): boolean {
  const isAbout = (title: string | null): boolean => title !== null && about.includes(title.slice(title.indexOf('/') + 1));
  if (kind === 'audit') return (answer.audited ?? []).some(isAbout);
  if (kind === 'dry-run') return (answer.shadow ?? []).some(({ policy, rule }) => isAbout(policy) && rule !== null);
  return answer.code === 'provider_unavailable' && isAbout(answer.policy);
}
