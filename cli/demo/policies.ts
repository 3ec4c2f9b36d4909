/** The policies of the demo, in Istio's grammar, and the edits that the story makes to that of orders. */
import { NAMESPACE, TRUST_DOMAIN } from './topology.ts';
import type { WorkloadName } from './topology.ts';

/** Orders as it begins: web reads and watches, also by gRPC; checkout alone writes. */
export function ordersPolicy(writers: readonly string[] = ['checkout']): string {
  return policy('orders', 'read, write, get', [
    ...rule(['web'], 'GET', ['/orders/{*}', '/orders/{*}/invoice', '/orders/{*}/watch']),
    ...rule(writers, 'DELETE', ['/orders/{*}']),
    ...rule(['web'], 'POST', ['/shop.Orders/Get']),
  ]);
}

/** The same, and one order that nobody may watch any more. */
export function recalledOrderPolicy(order: number): string {
  return [
    ordersPolicy(),
    '---\n',
    'apiVersion: security.istio.io/v1\n',
    'kind: AuthorizationPolicy\n',
    `metadata: { name: recalled, namespace: ${NAMESPACE} }\n`,
    'spec:\n',
    '  selector: { matchLabels: { app: orders } }\n',
    '  action: DENY\n',
    `  rules: [{ to: [{ operation: { paths: ["/orders/${order}/watch"] } }] }]\n`,
  ].join('');
}

/** The same with a slip of the pen in it, and where that stands. */
export function brokenOrdersPolicy(): { readonly text: string; readonly line: number; readonly column: number } {
  const text = ordersPolicy(['checkout', 'web']).replace('methods: ["DELETE"]', 'metods: ["DELETE"]');
  const before = text.slice(0, text.indexOf('metods')).split('\n');
  return { text, line: before.length, column: (before.at(-1) ?? '').length + 1 };
}

export function policyFor(workload: WorkloadName): string {
  if (workload === 'orders') return ordersPolicy();
  if (workload === 'ledger') return policy('ledger', 'ask', rule(['orders'], null, []));
  // An ALLOW without rules lets nobody in.
  return policy(workload, null, []);
}

function policy(app: string, ruleNames: string | null, rules: readonly string[]): string {
  return `${[
    'apiVersion: security.istio.io/v1',
    'kind: AuthorizationPolicy',
    'metadata:',
    `  name: ${app}`,
    `  namespace: ${NAMESPACE}`,
    ...(ruleNames === null ? [] : ['  annotations:', `    postern.mesh/rule-names: "${ruleNames}"`]),
    'spec:',
    `  selector: { matchLabels: { app: ${app} } }`,
    '  action: ALLOW',
    ...(rules.length === 0 ? ['  rules: []'] : ['  rules:', ...rules]),
  ].join('\n')}\n`;
}

/** Raw TCP has neither method nor paths. */
function rule(callers: readonly string[], method: string | null, paths: readonly string[]): string[] {
  const principals = callers.map((name) => `"${TRUST_DOMAIN}/ns/${NAMESPACE}/sa/${name}"`).join(', ');
  return [
    '    - from:',
    `        - source: { principals: [${principals}] }`,
    ...(method === null
      ? []
      : [
          '      to:',
          `        - operation: { methods: ["${method}"], paths: [${paths.map((path) => `"${path}"`).join(', ')}] }`,
        ]),
  ];
}
