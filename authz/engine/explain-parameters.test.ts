import { expect, test } from 'vitest';

import { readPolicies } from '../policy/read.ts';
import { selectPolicies } from '../policy/select.ts';
import { explain } from './explain.ts';
import type { AuthzInput } from './input.ts';

const API = `apiVersion: security.postern.mesh/v1alpha1
kind: APIDefinition
metadata: { name: orders, namespace: shop }
spec:
  selector: { matchLabels: { app: orders } }
  validate: [path, query]
  operations:
    - id: one
      method: GET
      path: "/orders/{*}"
      parameters:
        - { in: path, name: id, wildcard: 1, type: uuid }
        - { in: query, name: limit, type: integer, maxLength: 3 }
        - { in: query, name: sort, required: true, enum: [asc, desc] }
    - { id: mine, method: GET, path: /orders/mine, parameters: [{ in: query, name: text, pattern: "^a" }] }
`;
const set = selectPolicies(
  readPolicies(API, 'api.yaml').set,
  { namespace: 'shop', labels: { app: 'orders' }, serviceAccount: null },
  { rootNamespace: 'istio-system', trustDomain: 'demo.mesh', trustDomainAliases: [] },
);
const ID = '/orders/00000000-0000-4000-8000-000000000000';

test.each([
  { path: ID, query: 'limit=1000&sort=asc', text: ['parameter "limit" is not 0 to 3 characters long'] },
  { path: ID, query: 'limit=x', text: ['parameter "limit" is no integer', 'parameter "sort" is missing'] },
  { path: '/orders/17', query: 'sort=up', text: ['{*} 1 of /orders/{*} is no uuid', 'parameter "sort" is none of asc, desc'] },
  { path: '/orders/mine', query: 'text=b', text: ['parameter "text" is not like ^a'] },
])('explain() says which parameters of $path?$query are broken', ({ path, query, text }) => {
  const told = explain(set, asked(path, query), 'deny').text;
  expect(told).toBe(['denied by shop/orders#broken-parameter (api.yaml:1)', ...text].join('\n  '));
});

test('explain() says of an unknown operation only that', () => {
  expect(explain(set, asked('/other', ''), 'deny').text).toBe('denied by shop/orders#unknown-operation (api.yaml:1)');
});

function asked(path: string, query: string): AuthzInput {
  const ip = '10.0.0.1';
  const addresses = { sourceIp: ip, remoteIp: ip, destinationIp: ip, destinationPort: 80 };
  return {
    connection: { principal: null, ...addresses, sni: null, tls: true, protocol: 'http' },
    request: { method: 'GET', authority: 'a', path, query, fields: { values: () => [] }, tokens: [] },
  };
}
