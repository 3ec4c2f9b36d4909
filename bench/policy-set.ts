/**
 * The rules that Postern and Envoy both get: N ALLOW rules as a grown mesh has them (principals, methods; exact, prefix and
 * template paths), of which only the last in name order allows the load. The same model is written as Istio
 * AuthorizationPolicy documents and as the RBAC filter that Istio's builder makes of them.
 */

export interface Rule {
  readonly name: string;
  /** As in Istio: without `spiffe://`, a `*` at the end is a prefix. */
  readonly principals: readonly string[];
  readonly methods: readonly string[];
  /** Exact, `prefix*`, or with the segments `{*}` and `{**}`. */
  readonly paths: readonly string[];
}

/** `count` rules, the same ones for the same count. */
export function policySet(count: number): Rule[] {
  const random = generator(1);
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  const services = Math.max(4, Math.floor(count / 20));
  const callers = Math.max(6, Math.floor(count / 10));
  const namespaces = Math.max(3, Math.floor(count / 200));
  const digits = String(count).length;

  const principal = (): string => {
    const caller = Math.floor(random() * callers);
    return `${TRUST_DOMAIN}/ns/ns-${caller % namespaces}/sa/caller-${caller}`;
  };
  const path = (): string => {
    const base = `/service-${Math.floor(random() * services)}/v${1 + Math.floor(random() * 2)}/${pick(RESOURCES)}`;
    const kind = random();
    if (kind < 0.4) return base;
    if (kind < 0.75) return `${base}/*`;
    return kind < 0.95 ? `${base}/{*}/${pick(RESOURCES)}` : `${base}/{*}/{**}`;
  };
  const rules: Rule[] = [];
  for (let i = 0; i < count - 1; i++) {
    const principals = new Set([principal()]);
    while (random() < 0.3) principals.add(principal());
    if (random() < 0.05) principals.add(`${TRUST_DOMAIN}/ns/ns-${Math.floor(random() * namespaces)}/*`);
    const methods = new Set([pick(METHODS) ?? 'GET']);
    if (random() < 0.3) methods.add(pick(METHODS) ?? 'GET');
    const paths = new Set([path()]);
    if (random() < 0.2) paths.add(path());
    rules.push({ name: name(i, digits), principals: [...principals], methods: [...methods], paths: [...paths] });
  }
  rules.push({
    name: name(count - 1, digits),
    principals: [`${TRUST_DOMAIN}/ns/${LOAD_NAMESPACE}/sa/*`],
    methods: ['GET', 'POST'],
    paths: [`${ALLOWED_PREFIX}*`],
  });
  return rules;
}

/** AuthorizationPolicy documents of 100 rules each. */
export function toIstioYaml(rules: readonly Rule[], namespace: string): string {
  const documents: string[] = [];
  for (let i = 0; i < rules.length; i += 100) {
    const lines = rules
      .slice(i, i + 100)
      .map(
        (rule) =>
          `    - from: [{ source: { principals: ${JSON.stringify(rule.principals)} } }]\n` +
          (rule.paths.length === 0
            ? ''
            : `      to: [{ operation: { methods: ${JSON.stringify(rule.methods)}, paths: ${JSON.stringify(rule.paths)} } }]`),
      );
    documents.push(
      `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n` +
        `metadata: { name: ${rules[i]?.name}, namespace: ${namespace} }\nspec:\n  action: ALLOW\n  rules:\n${lines.join('\n')}\n`,
    );
  }
  return documents.join('---\n');
}

/** The `rules` of Envoy's RBAC filter. */
export function toEnvoyRbac(rules: readonly Rule[]): object {
  const policies = rules.map((rule): [string, object] => [
    rule.name,
    {
      permissions: [
        {
          and_rules: {
            rules: [
              { or_rules: { rules: rule.methods.map((exact) => ({ header: { name: ':method', string_match: { exact } } })) } },
              { or_rules: { rules: rule.paths.map(pathPermission) } },
            ],
          },
        },
      ],
      principals: [
        {
          or_ids: { ids: rule.principals.map((one) => ({ authenticated: { principal_name: stringMatch(`spiffe://${one}`) } })) },
        },
      ],
    },
  ]);
  return { action: 'ALLOW', policies: Object.fromEntries(policies) };
}

function pathPermission(path: string): object {
  if (!path.includes('{')) return { url_path: { path: stringMatch(path) } };
  return {
    uri_template: {
      name: 'uri-template',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
        path_template: path.replaceAll('{**}', '**').replaceAll('{*}', '*'),
      },
    },
  };
}

function stringMatch(value: string): object {
  return value.endsWith('*') ? { prefix: value.slice(0, -1) } : { exact: value };
}

function name(index: number, digits: number): string {
  return `r${String(index).padStart(digits, '0')}`;
}

/** Mulberry32: small, seeded, good enough to scatter rules. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const TRUST_DOMAIN = 'cluster.local';
export const LOAD_NAMESPACE = 'load';
export const ALLOWED_PREFIX = '/orders/';
export const DENIED_PREFIX = '/private/';

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'];
const RESOURCES = (
  'users orders items carts invoices payments shipments reviews products catalogs sessions tokens roles groups teams files ' +
  'reports alerts metrics events jobs tasks queues topics streams devices sensors zones regions accounts ledgers quotes'
).split(' ');
