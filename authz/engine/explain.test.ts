import { describe, expect, test } from 'vitest';

import { compilePolicies } from '../plan/compile.ts';
import { readPolicies } from '../policy/read.ts';
import { selectPolicies } from '../policy/select.ts';
import { explain, readModel } from './explain.ts';
import type { AuthzInput, RequestAttributes } from './input.ts';

const TEXT = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: orders, namespace: shop, annotations: { postern.mesh/rule-names: "read, write, admin" } }
spec:
  rules:
    - from: [{ source: { principals: [demo.mesh/ns/shop/sa/web, demo.mesh/ns/shop/sa/ledger] } }]
      to: [{ operation: { methods: [GET], paths: ["/orders/*"] } }]
    - from: [{ source: { principals: [demo.mesh/ns/shop/sa/ledger] } }]
      to: [{ operation: { methods: [POST, DELETE], paths: ["/orders/*"] } }]
    - from: [{ source: { requestPrincipals: ["*"], notIpBlocks: ["10.9.0.0/16"] } }]
      to: [{ operation: { paths: ["/admin"] } }]
      when: [{ key: "request.headers[x-secret]", values: [s3cret] }]
`;
const { model } = compilePolicies(
  readPolicies(TEXT, 'orders.yaml').policies,
  { namespace: 'shop', labels: {}, serviceAccount: null },
  { rootNamespace: 'istio-system', trustDomain: 'demo.mesh', trustDomainAliases: [] },
);
const set = readModel(model);

function input(principal: string | null, changed: Partial<RequestAttributes>): AuthzInput {
  const ip = '10.9.1.1';
  return {
    connection: {
      principal,
      sourceIp: ip,
      remoteIp: ip,
      destinationIp: '10.0.0.2',
      destinationPort: 80,
      sni: null,
      tls: true,
      protocol: 'http',
    },
    request: { method: 'GET', authority: 'orders', path: '/orders/17', fields: { values: () => [] }, tokens: [], ...changed },
  };
}

const WEB = 'spiffe://demo.mesh/ns/shop/sa/web';

describe('explain()', () => {
  test.each([
    {
      why: 'another caller',
      asked: input(WEB, { method: 'DELETE' }),
      nearest: `shop/orders#write: \`from\` does not include ${WEB}`,
    },
    {
      why: 'no identity',
      asked: input(null, {}),
      nearest: 'shop/orders#read: `from` does not include a request without an identity',
    },
    {
      why: 'another method',
      asked: input(WEB, { method: 'PUT' }),
      nearest: 'shop/orders#read: `to` does not include method PUT',
    },
    {
      why: 'a secret header',
      asked: input(WEB, { path: '/admin', fields: { values: () => ['wrong-secret'] } }),
      nearest:
        'shop/orders#admin: `from` does not include a request without a token and excludes 10.9.1.1\nshop/orders#admin: `when` does not include request.headers[x-secret] as sent',
    },
  ])('names the nearest miss for $why', ({ asked, nearest }) => {
    const told = explain(set, asked, 'deny');
    expect(told).toMatchObject({ effect: 'deny', code: 'denied_no_match', matched: null, nearest: { text: nearest } });
    expect(told.text).not.toContain('wrong-secret');
  });

  test('names the rule that matched and where it stands', () => {
    expect(explain(set, input(WEB, {}), 'deny')).toMatchObject({
      effect: 'allow',
      matched: { policy: 'shop/orders', rule: 'read', position: { file: 'orders.yaml', line: 6 } },
      nearest: null,
      text: 'allowed by shop/orders#read (orders.yaml:6)',
    });
  });

  test('says so when no policy selects the workload', () => {
    expect(explain({ ...set, policies: [] }, input(WEB, {}), 'deny').text).toBe('denied: no policy selects the workload');
  });
});

describe('explain() of our own kinds', () => {
  const documents = `apiVersion: security.postern.mesh/v1alpha1
kind: ClusterAccessPolicy
metadata: { name: top }
spec: { inheritance: ceiling, action: ALLOW, rules: [{ name: gets, to: [{ methods: [GET, PUT] }] }] }
---
apiVersion: security.postern.mesh/v1alpha1
kind: AccessPolicy
metadata: { name: own, namespace: shop }
spec: { rules: [{ name: prod, from: [{ tags: [env=prod] }], to: [{ paths: ["/orders/*"] }] }] }
---
apiVersion: security.postern.mesh/v1alpha1
kind: AccessPolicy
metadata: { name: trial, namespace: shop }
spec: { mode: audit, rules: [{ name: all, to: [{ paths: ["/orders/*"] }] }] }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: tls, namespace: shop }
spec: { mtls: { mode: STRICT } }
`;
  const options = { rootNamespace: 'istio-system', trustDomain: 'demo.mesh', trustDomainAliases: [] };
  const workload = { namespace: 'shop', labels: {}, serviceAccount: null };
  const own = selectPolicies(readPolicies(documents, 'own.yaml').set, workload, options);
  const asked = input(WEB, {});
  const plaintext = { ...asked, connection: { ...asked.connection, tls: false } };

  test.each([
    {
      why: 'the rule that nearly allowed, no trial',
      of: asked,
      text: 'denied: no rule matched; nearest:\nshop/own#prod: `from`',
    },
    {
      why: 'the rule of a ceiling that came nearest',
      of: input(WEB, { method: 'POST' }),
      text: 'denied: no rule of the ceiling /top matched; nearest:\n/top#gets: `to` does not include method POST',
    },
    {
      why: 'who demands mutual TLS',
      of: plaintext,
      text: 'denied: the connection is plaintext, and mutual TLS is required (shop/tls)',
    },
  ])('tells $why', ({ of, text }) => {
    expect(explain(own, of, 'allow').text).toContain(text);
  });
});
