/**
 * Requests for the decision benchmark: each made for a rule of the set, a third of them with the method or caller of another, so
 * that not all are allowed; more than 10,000 paths, 512 callers where the set has as many. Tokens and header values that
 * are alike are one object, so that what is measured is the engine and not the size of the benchmark's own data.
 */
import type { AuthzInput, Token } from '#authz/engine/input.ts';
import type { Random } from '#authz/engine/samples.ts';
import type { Rule } from '#authz/policy/model.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

export function decideRequests(set: WorkloadPolicies, random: Random, count: number): readonly AuthzInput[] {
  const allow = set.policies.filter(({ action }) => action === 'ALLOW').flatMap(({ rules }) => rules);
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  const word = (): string => `id-${Math.floor(random() * 1_000_000)}`;
  const callers = callersOf(allow, pick);
  return Array.from({ length: count }, () => {
    const caller = pick(callers);
    if (caller === undefined) throw new Error('the policies allow nobody');
    const rule = pick(caller.rules);
    const other = random() < 0.35 ? pick(allow) : rule;
    return { connection: caller.connection, request: requestFor(rule, other, pick, word) };
  });
}

interface Caller {
  /** One object for each caller, as a connection that stays open is one. */
  readonly connection: AuthzInput['connection'];
  readonly rules: Rule[];
}

/** Up to `MAX_CALLERS` callers with the rules that name them. */
function callersOf(allow: readonly Rule[], pick: Pick): readonly Caller[] {
  const callers = new Map<string, Caller>();
  for (let tries = 0; tries < 50 * MAX_CALLERS; tries++) {
    const rule = pick(allow);
    if (rule === undefined) break;
    const connection = connectionFor(rule, pick);
    const key = JSON.stringify(connection);
    const known = callers.get(key);
    if (known !== undefined) known.rules.push(rule);
    else if (callers.size < MAX_CALLERS) callers.set(key, { connection, rules: [rule] });
  }
  return [...callers.values()];
}

type Pick = <T>(items: readonly T[]) => T | undefined;

function connectionFor(rule: Rule, pick: Pick): AuthzInput['connection'] {
  const source = rule.from[0];
  const named = pick(source?.principals ?? [])?.replace('*', 'sa/any');
  const account = pick(source?.serviceAccounts ?? [])?.split('/');
  const namespace = account?.[0] ?? pick(source?.namespaces ?? []) ?? 'ns-0';
  const principal = named ?? `cluster.local/ns/${namespace}/sa/${account?.[1] ?? 'svc-account-1'}`;
  const block = pick(source?.ipBlocks ?? []);
  const sourceIp = block === undefined ? '10.9.8.7' : block.replace('.0/24', '.9');
  const destinationPort = Number(pick(rule.to[0]?.ports ?? []) ?? 8080);
  return {
    principal: `spiffe://${principal}`,
    sourceIp,
    remoteIp: sourceIp,
    destinationIp: '10.1.2.3',
    destinationPort,
    sni: null,
    tls: true,
    protocol: 'http',
  };
}

function requestFor(
  rule: Rule | undefined,
  other: Rule | undefined,
  pick: Pick,
  word: () => string,
): NonNullable<AuthzInput['request']> {
  const operation = other?.to[0];
  const path = (pick(operation?.paths ?? []) ?? '/svc-1/v1/users/*')
    .replace('{**}', () => `${word()}/x`)
    .replace('{*}', word)
    .replace('*', word);
  const header = rule?.when.find(({ key }) => key === 'request.headers[x-tenant]')?.values[0] ?? 'tenant-99';
  const role = rule?.when.find(({ key }) => key === 'request.auth.claims[role]')?.values[0];
  const subject = rule?.from[0]?.requestPrincipals[0]?.split('/').at(-1);
  const values = alike(header, () => [header]);
  const hasToken = role !== undefined || subject !== undefined;
  const tokens = hasToken
    ? alike(`${role} ${subject}`, () => [
        { issuer: 'https://idp.example', subject: subject ?? 'user-0', audiences: [], presenter: null, claims: { role } },
      ])
    : NO_TOKENS;
  return {
    method: pick(operation?.methods ?? []) ?? 'GET',
    authority: (pick(operation?.hosts ?? []) ?? 'svc-1.ns-0.svc.cluster.local').replace('*', 'svc-x'),
    path,
    fields: { values: (name) => (name === 'x-tenant' ? values : NONE) },
    tokens,
  };
}

function alike<T>(key: string, make: () => readonly T[]): readonly T[] {
  // A key is only ever used for one type: tokens hold a blank, header values none.
  const known = KEPT.get(key) as readonly T[] | undefined;
  if (known !== undefined) return known;
  const made = make();
  KEPT.set(key, made);
  return made;
}

const NONE: readonly string[] = [];
const NO_TOKENS: readonly Token[] = [];
const KEPT = new Map<string, unknown>();
/** Peers that keep a connection open to one workload. */
const MAX_CALLERS = 512;
