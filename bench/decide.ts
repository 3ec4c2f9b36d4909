/**
 * What a decision costs: nanoseconds of the thread's CPU time at 10 to 100,000 rules, by the module with the connection classified
 * once (hot) and with everything written anew (full), by the interpreter, by closures tried one rule after the other, and up to
 * 1,000 rules by others: rules in Rego compiled to WebAssembly by the real `opa` under OPA's SDK, our OPA module under the same
 * SDK, Cedar and casbin. Rounds of all variants are interleaved; printed are median [min-max].
 *
 *     node bench/decide.ts [--quick] [--rules 10,1000] [--strategy index|forest]
 */
import type { AuthzInput, RequestAttributes, Token } from '#authz/engine/input.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { loadEngine } from '#authz/engine/load.ts';
import { seededRandom } from '#authz/engine/samples.ts';
import { compileForOpa } from '#authz/plan/compile-shell.ts';
import { compilePolicies, compileSelected, policiesOf } from '#authz/plan/compile.ts';
import type { Strategy } from '#authz/plan/plan.ts';
import type { Policy } from '#authz/policy/model.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';
import { canAskOpa, opaInput } from '#test/conformance/policy/opa-shell.ts';
import { COMPILE_OPTIONS, WORKLOAD, operation, realisticPolicies } from '#test/conformance/policy/realistic.ts';
import { peer } from '#test/support/peers.ts';

import { casbinJudge } from './decide-casbin.ts';
import { cedarJudge } from './decide-cedar.ts';
import { linearEvaluator } from './decide-linear.ts';
import { buildRego, loadOpaModule } from './decide-rego.ts';
import { decideRequests } from './decide-requests.ts';

interface Variant {
  readonly name: string;
  /** Decisions in one round. */
  readonly count: number;
  readonly run: (count: number) => number;
  readonly nanoseconds: number[];
}

async function measure(rules: number): Promise<string> {
  const policies = realisticPolicies(rules, seededRandom(1));
  const compileMs = compileCost(rules, (round) => realisticPolicies(rules, seededRandom(10 + round)));
  const editMs = compileCost(rules, (round) => edited(policies, round));
  const set = policiesOf(policies, WORKLOAD, COMPILE_OPTIONS);
  const compiled = compileSelected(set, policies.length, strategy);
  const engine = loadEngine(compiled, { whenNoneSelects: 'deny' });
  const inputs = decideRequests(set, seededRandom(2), REQUESTS);
  const linear = linearEvaluator(set);
  const options = { revision: '', whenNoneSelects: 'deny' } as const;
  for (const input of inputs.slice(0, rules > 10_000 ? 5 : 50)) {
    const effects = new Set([
      engine.decide(engine.classify(input.connection), requestOf(input)).effect,
      interpret(set, input, options).effect,
      linear(input) ? 'allow' : 'deny',
    ]);
    if (effects.size > 1) throw new Error(`the variants differ on ${JSON.stringify(input)}`);
  }

  // Classified once for each caller, as for a connection that stays open.
  const callers = new Map(inputs.map(({ connection }) => [connection, engine.classify(connection)]));
  const connections = inputs.map(({ connection }) => callers.get(connection) ?? engine.classify(connection));
  const mask = REQUESTS - 1;
  const columns = columnsOf(inputs);
  // One record filled again for each request, as the proxy does it.
  const request = {
    method: '',
    authority: '',
    path: '',
    fields: { values: (name: string) => (name === 'x-tenant' ? tenant : NONE) },
    tokens: NO_TOKENS,
  };
  let tenant: readonly string[] = NONE;
  const fill = (index: number): void => {
    request.method = columns.methods[index] ?? '';
    request.authority = columns.authorities[index] ?? '';
    request.path = columns.paths[index] ?? '';
    request.tokens = columns.tokens[index] ?? NO_TOKENS;
    tenant = columns.tenants[index] ?? NONE;
  };
  const variants: readonly Variant[] = [
    variant('hot', 200_000, (count) => {
      let allowed = 0;
      for (let index = 0; index < count; index++) {
        const connection = connections[index & mask];
        fill(index & mask);
        if (connection !== undefined && engine.decide(connection, request).effect === 'allow') allowed++;
      }
      return allowed;
    }),
    variant('full', 50_000, (count) => {
      let allowed = 0;
      for (let index = 0; index < count; index++) {
        const input = inputs[index & mask];
        fill(index & mask);
        if (input !== undefined && engine.decide(engine.classify(input.connection), request).effect === 'allow') allowed++;
      }
      return allowed;
    }),
    variant('linear', linearCount(rules, 1_000_000), (count) => sweep(count, inputs, (input) => linear(input))),
    variant('interpreter', linearCount(rules, 20_000), (count) =>
      sweep(count, inputs, (input) => interpret(set, input, options).effect === 'allow'),
    ),
    ...(rules <= MOST_RULES_OF_OTHERS ? await otherVariants(rules, set, inputs, linear) : []),
  ];
  let allowed = 0;
  for (const { run, count } of variants) allowed = run(Math.min(count, REQUESTS));
  allowed = variants[0]?.run(REQUESTS) ?? 0;
  for (let round = 0; round < rounds; round++) {
    for (let offset = 0; offset < variants.length; offset++) {
      const chosen = variants[(round + offset) % variants.length];
      if (chosen !== undefined)
        chosen.nanoseconds.push(threadNanoseconds(() => chosen.run(chosen.count)) / Math.max(1, chosen.count));
    }
  }
  const figures = variants.map(({ nanoseconds }) => summary(nanoseconds));
  const share = `${Math.round((100 * allowed) / REQUESTS)} %`;
  const missing = Array.from({ length: COLUMNS - figures.length }, () => '-');
  const { longestScan, steps } = compiled.bounds;
  const facts = `${rules} | ${Math.round(compiled.wasm.length / 1000)} | ${summary(compileMs, 1)} | ${summary(editMs, 1)} | ${longestScan} / ${steps} | ${share}`;
  return `| ${facts} | ${[...figures, ...missing].join(' | ')} |`;
}

/** Each checked against the closures first; casbin, which knows less of the rules, is only timed. */
async function otherVariants(
  rules: number,
  set: WorkloadPolicies,
  inputs: readonly AuthzInput[],
  linear: (input: AuthzInput) => boolean,
): Promise<readonly Variant[]> {
  const names = ['x-tenant'];
  const sample = inputs.filter((input) => canAskOpa(input, names)).slice(0, 512);
  const documents = new Map(sample.map((input) => [input, opaInput(input, names)]));
  const own = loadOpaModule(compileForOpa(set, { whenNoneSelects: 'deny' }));
  const documentOf = (input: AuthzInput): object => documents.get(input) ?? {};
  const askOwn = (input: AuthzInput): boolean => {
    // What authz/wasm/shells/opa.ts writes.
    const [answer] = own.evaluate(documentOf(input)) as readonly { result: { allowed: boolean } }[];
    return answer?.result.allowed === true;
  };
  const opa = peer('opa');
  const rego = opa === null ? null : buildRego(opa, set);
  const askRego = (input: AuthzInput): boolean => rego?.evaluate(documentOf(input))[0]?.result === true;
  const cedar = cedarJudge(set, `rules-${rules}`);
  const casbin = await casbinJudge(set);
  for (const input of sample.slice(0, 128)) {
    const wanted = linear(input);
    if (askOwn(input) !== wanted || cedar(input) !== wanted || (rego !== null && askRego(input) !== wanted)) {
      throw new Error(`the others differ on ${JSON.stringify(input)}`);
    }
  }
  return [
    variant('our OPA module', 4000, (count) => sweep(count, sample, askOwn)),
    variant('opa', rego === null ? 0 : linearCount(rules, 400_000), (count) => sweep(count, sample, askRego)),
    variant('cedar', linearCount(rules, 40_000), (count) => sweep(count, sample, cedar)),
    variant('casbin', linearCount(rules, 40_000), (count) => sweep(count, sample, casbin)),
  ];
}

function columnsOf(inputs: readonly AuthzInput[]) {
  const requests = inputs.map(requestOf);
  return {
    methods: requests.map(({ method }) => method),
    authorities: requests.map(({ authority }) => authority),
    paths: requests.map(({ path }) => path),
    tokens: requests.map(({ tokens }) => tokens),
    tenants: requests.map(({ fields }) => fields.values('x-tenant')),
  };
}

function variant(name: string, count: number, run: (count: number) => number): Variant {
  return { name, count: quick ? Math.ceil(count / 4) : count, run, nanoseconds: [] };
}

function sweep(count: number, inputs: readonly AuthzInput[], judge: (input: AuthzInput) => boolean): number {
  let allowed = 0;
  for (let index = 0; index < count; index++) {
    const input = inputs[index % inputs.length];
    if (input !== undefined && judge(input)) allowed++;
  }
  return allowed;
}

/** Slow variants are sampled at many rules. */
function linearCount(rules: number, budget: number): number {
  return Math.max(2, Math.floor(budget / (rules + 20)));
}

/** Milliseconds of CPU time of all threads, warmed up; each time of other policies, so that nothing is remembered but what is alike. */
function compileCost(rules: number, policiesOfRound: (round: number) => readonly Policy[]): readonly number[] {
  const times = rules >= 100_000 ? 1 : rules >= 10_000 ? 5 : 9;
  const warmUps = rules >= 100_000 ? 0 : 3;
  return Array.from({ length: warmUps + times }, (_, round) => {
    const policies = policiesOfRound(round);
    const before = process.cpuUsage();
    compilePolicies(policies, WORKLOAD, COMPILE_OPTIONS);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  }).slice(warmUps);
}

/** With another path in one rule; all other rules are the same objects. */
function edited(policies: readonly Policy[], round: number): readonly Policy[] {
  const at = (round * 7) % policies.length;
  return policies.map((policy, index) => {
    const [first, ...rest] = policy.rules;
    if (index !== at || first === undefined) return policy;
    return { ...policy, rules: [{ ...first, to: [operation({ paths: [`/edited-${round}`] })] }, ...rest] };
  });
}

function threadNanoseconds(run: () => unknown): number {
  const before = process.threadCpuUsage();
  run();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) * 1000;
}

function requestOf(input: AuthzInput): RequestAttributes {
  if (input.request === null) throw new Error('a raw TCP input has no request');
  return input.request;
}

function summary(values: readonly number[], digits = 0): string {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (index: number): string => (sorted[index] ?? 0).toFixed(digits);
  return `${at(sorted.length >> 1)} [${at(0)}-${at(sorted.length - 1)}]`;
}

function argument(name: string): string | undefined {
  const index = process.argv.indexOf(name);
  return index < 0 ? undefined : process.argv[index + 1];
}

/** Distinct requests, a power of two: more than 10,000 paths and 100 identities. */
const REQUESTS = 16_384;
const NONE: readonly string[] = [];
const NO_TOKENS: readonly Token[] = [];

const MOST_RULES_OF_OTHERS = 1000;
/** Variants that have a column. */
const COLUMNS = 8;

const quick = process.argv.includes('--quick');
const sizes = (argument('--rules') ?? (quick ? '10,1000' : '10,100,1000,10000,100000')).split(',').map(Number);
const rounds = quick ? 3 : 9;
const strategy: Strategy = argument('--strategy') === 'forest' ? 'forest' : argument('--strategy') === 'index' ? 'index' : 'auto';

console.log(
  '| rules | module kB | compile CPU ms | one rule edited CPU ms | longest scan / steps | allowed | hot ns | full ns | linear ns | interpreter ns | our OPA module ns | OPA ns | Cedar ns | casbin ns |',
);
console.log(`|${'---|'.repeat(6 + COLUMNS)}`);
for (const size of sizes) console.log(await measure(size));
