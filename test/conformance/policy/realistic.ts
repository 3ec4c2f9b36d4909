/** Policy sets as a mesh has them: services, versions, resources; seeded. */
import type { Random } from '#authz/engine/samples.ts';
import type { Action, Condition, Operation, Policy, Rule, Source, Workload } from '#authz/policy/model.ts';
import { OPERATION_FIELDS, SOURCE_FIELDS } from '#authz/policy/model.ts';

export const TRUST_DOMAIN = 'cluster.local';
export const WORKLOAD: Workload = { namespace: 'shop', labels: { app: 'orders' }, serviceAccount: 'orders' };
export const COMPILE_OPTIONS = { rootNamespace: 'istio-system', trustDomain: TRUST_DOMAIN, trustDomainAliases: [] };

export function source(fields: Partial<Source>): Source {
  // Every field is set by the list of fields.
  return Object.fromEntries(SOURCE_FIELDS.map((field) => [field, fields[field] ?? []])) as unknown as Source;
}

export function operation(fields: Partial<Operation>): Operation {
  // Every field is set by the list of fields.
  return Object.fromEntries(OPERATION_FIELDS.map((field) => [field, fields[field] ?? []])) as unknown as Operation;
}

export function policy(name: string, action: Action, rules: readonly Omit<Rule, 'position' | 'name'>[]): Policy {
  return {
    namespace: WORKLOAD.namespace,
    name,
    action,
    selector: {},
    mode: 'enforce',
    provider: null,
    scope: null,
    validity: null,
    isForGateways: false,
    rules: rules.map((rule, index) => ({ ...rule, name: String(index), position: NOWHERE })),
    position: NOWHERE,
  };
}

/** `count` rules, a tenth of them DENY, spread over policies of up to 20 rules. */
export function realisticPolicies(count: number, random: Random): readonly Policy[] {
  const maker = new Maker(count, random);
  const allow: Omit<Rule, 'position' | 'name'>[] = [];
  const deny: Omit<Rule, 'position' | 'name'>[] = [];
  for (let index = 0; index < count; index++) {
    if (random() < 0.1) deny.push(maker.rule(true));
    else allow.push(maker.rule(false));
  }
  return [...inPolicies('deny', 'DENY', deny), ...inPolicies('allow', 'ALLOW', allow)];
}

function inPolicies(name: string, action: Action, rules: readonly Omit<Rule, 'position' | 'name'>[]): readonly Policy[] {
  const policies: Policy[] = [];
  for (let at = 0; at < rules.length; at += RULES_PER_POLICY) {
    policies.push(
      policy(`${name}-${String(at / RULES_PER_POLICY).padStart(6, '0')}`, action, rules.slice(at, at + RULES_PER_POLICY)),
    );
  }
  return policies;
}

class Maker {
  readonly #random: Random;
  readonly #services: number;
  readonly #principals: number;
  readonly #namespaces: number;

  constructor(count: number, random: Random) {
    this.#random = random;
    this.#services = Math.max(4, count / 20);
    this.#principals = Math.max(6, count / 10);
    this.#namespaces = Math.max(3, count / 200);
  }

  rule(isDeny: boolean): Omit<Rule, 'position' | 'name'> {
    const from = this.#source(isDeny);
    const to = this.#operation(isDeny || from === null);
    const when = this.#chance(0.2) ? [this.#condition()] : [];
    return { from: from === null ? [] : [from], to: to === null ? [] : [to], when };
  }

  #source(isDeny: boolean): Source | null {
    const roll = this.#random();
    if (roll < 0.75) {
      const principals = [this.#principal()];
      while (this.#chance(0.3)) principals.push(this.#principal());
      return source({
        principals: this.#chance(0.05) ? [`${TRUST_DOMAIN}/ns/ns-${this.#below(this.#namespaces)}/*`] : principals,
      });
    }
    if (roll < 0.83) return source({ namespaces: [`ns-${this.#below(this.#namespaces)}`] });
    if (roll < 0.88)
      return source({ serviceAccounts: [`ns-${this.#below(this.#namespaces)}/svc-account-${this.#below(this.#principals)}`] });
    if (roll < 0.92) return source({ ipBlocks: [`10.${this.#below(256)}.${this.#below(256)}.0/24`] });
    if (roll < 0.96) return source({ requestPrincipals: [`https://idp.example/user-${this.#below(this.#principals)}`] });
    return isDeny ? source({ notPrincipals: [this.#principal()] }) : null;
  }

  #operation(isNeeded: boolean): Operation | null {
    const hasPaths = isNeeded || this.#chance(0.9);
    const fields: { -readonly [K in keyof Operation]?: readonly string[] } = {};
    if (hasPaths) fields.paths = this.#chance(0.2) ? [this.#path(), this.#path()] : [this.#path()];
    if (this.#chance(0.7))
      fields.methods = this.#chance(0.3) ? [this.#pick(METHODS), this.#pick(METHODS)] : [this.#pick(METHODS)];
    if (this.#chance(0.2))
      fields.hosts = [this.#chance(0.5) ? this.#host() : `*.ns-${this.#below(this.#namespaces)}.svc.cluster.local`];
    if (this.#chance(0.15)) fields.ports = [this.#pick(['8080', '8443', '9090'])];
    if (hasPaths && this.#chance(0.05)) fields.notPaths = [this.#path()];
    return Object.keys(fields).length === 0 ? null : operation(fields);
  }

  #condition(): Condition {
    if (this.#chance(0.5)) return { key: 'request.headers[x-tenant]', values: [`tenant-${this.#below(40)}`], notValues: [] };
    return { key: 'request.auth.claims[role]', values: [this.#pick(['admin', 'reader', 'writer']), 'ops'], notValues: [] };
  }

  #principal(): string {
    const number = this.#below(this.#principals);
    return `${TRUST_DOMAIN}/ns/ns-${number % Math.ceil(this.#namespaces)}/sa/svc-account-${number}`;
  }

  #host(): string {
    const number = this.#below(this.#services);
    return `svc-${number}.ns-${number % Math.ceil(this.#namespaces)}.svc.cluster.local`;
  }

  #path(): string {
    const base = `/svc-${this.#below(this.#services)}/v${1 + this.#below(2)}/${this.#pick(RESOURCES)}`;
    const roll = this.#random();
    if (roll < 0.4) return base;
    if (roll < 0.75) return `${base}/*`;
    return roll < 0.95 ? `${base}/{*}/${this.#pick(RESOURCES)}` : `${base}/{**}/export`;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #pick(items: readonly string[]): string {
    return items[this.#below(items.length)] ?? '';
  }
}

const NOWHERE = { file: 'generated', line: 0, column: 0 };
const RULES_PER_POLICY = 20;
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'];
const RESOURCES = [
  'users',
  'orders',
  'items',
  'carts',
  'invoices',
  'payments',
  'shipments',
  'reviews',
  'products',
  'catalogs',
  'sessions',
  'tokens',
  'roles',
  'groups',
  'teams',
  'files',
  'reports',
  'alerts',
  'metrics',
  'events',
  'jobs',
  'tasks',
  'queues',
  'topics',
  'streams',
  'devices',
  'sensors',
  'zones',
  'regions',
  'accounts',
  'ledgers',
  'quotes',
  'offers',
  'coupons',
  'returns',
  'refunds',
  'stocks',
];
