import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { formatFault } from '../fault-text.ts';
import { readProxyConfig } from './read.ts';
import { REFUSALS, SMALLEST } from './refusals.cases.ts';

describe('readProxyConfig()', () => {
  test('reads the smallest file', () => {
    const { config, faults } = readProxyConfig(SMALLEST, '/etc/postern/proxy.yaml');
    expect(faults).toEqual([]);
    expect(config).toMatchObject({
      file: '/etc/postern/proxy.yaml',
      name: 'app',
      namespace: 'app',
      labels: { app: 'app' },
      serviceAccount: null,
      identity: {
        trustDomain: 'cluster.local',
        trustDomainAliases: [],
        files: {
          certificate: '/etc/postern/server.pem',
          key: '/etc/postern/server.key',
          bundles: { 'cluster.local': '/etc/postern/ca.pem' },
        },
      },
      inbound: [
        {
          listen: { host: '127.0.0.1', port: 15006 },
          mtls: 'STRICT',
          workloadPort: 19080,
          pathPolicy: 'base',
          underscores: 'allow',
        },
        { listen: { host: '127.0.0.1', port: 15016 }, mtls: 'DISABLE', requireAlpn: false },
      ],
      outbound: [{ expect: ['spiffe://cluster.local/ns/app/sa/peer'], sni: null, allowUids: null }],
      policies: {
        files: ['/etc/postern/policies'],
        allowAll: false,
        allowEmpty: false,
        whenNoneSelects: 'deny',
        rootNamespace: 'istio-system',
      },
      trustedForwarders: [],
      telemetry: {
        accessLog: '/etc/postern/access.log',
        flows: null,
        status: { host: '127.0.0.1', port: 15021 },
        admin: '/etc/postern/admin.sock',
      },
    });
  });

  test('gives the limits and deadlines that the documents promise', () => {
    const { config } = readProxyConfig(SMALLEST, 'proxy.yaml');
    expect(config?.limits).toMatchObject({
      headBytes: 16_384,
      fields: 100,
      informationalResponses: 20,
      requestsPerConnection: 100_000,
    });
    expect(config?.timeouts).toMatchObject({
      handshakeMs: 5_000,
      headMs: 10_000,
      bodyIdleMs: 60_000,
      idleMs: 65_000,
      connectMs: 5_000,
      responseMs: 15_000,
      upstreamIdleMs: 4_000,
    });
  });

  test('reads every optional setting', () => {
    const text = SMALLEST.replace('  mode: standalone\n', `  mode: standalone\n  serviceAccount: app\n${OPTIONAL}`)
      .replace('mtls: STRICT,', 'mtls: STRICT, workloadPort: 80, underscores: reject, requireAlpn: true,')
      .replace('sa/peer] }', 'sa/peer], sni: peer.app.svc, allowUids: [1000, 1001] }')
      .replace('{ files: [policies/] }', '{ files: [a.yaml, b], allowEmpty: true, whenNoneSelects: allow, rootNamespace: root }')
      .replace('admin: admin.sock', 'admin: /run/a.sock, flows: flows.jsonl')
      .replace('{ format: json, file: access.log }', 'null');
    const { config, faults } = readProxyConfig(text, '/p/proxy.yaml');
    expect(faults.map(formatFault)).toEqual([]);
    expect(config).toMatchObject({
      serviceAccount: 'app',
      inbound: [{ workloadPort: 80, underscores: 'reject', requireAlpn: true }, {}],
      outbound: [{ sni: 'peer.app.svc', allowUids: [1000, 1001] }],
      policies: { files: ['/p/a.yaml', '/p/b'], allowEmpty: true, whenNoneSelects: 'allow', rootNamespace: 'root' },
      trustedForwarders: ['spiffe://cluster.local/ns/edge/sa/gateway', '10.0.0.0/8', '::1'],
      limits: { headBytes: 32_768, fields: 64 },
      timeouts: { responseMs: 60_000, upstreamIdleMs: 250 },
      telemetry: { accessLog: null, flows: '/p/flows.jsonl', admin: '/run/a.sock' },
    });
  });

  test('reads the same from JSON', () => {
    const { config } = readProxyConfig(SMALLEST, '/p/proxy.yaml');
    const asJson = JSON.stringify({
      apiVersion: 'postern.mesh/v1alpha1',
      kind: 'Proxy',
      metadata: { name: 'app', namespace: 'app', labels: { app: 'app' } },
      spec: {
        identity: {
          trustDomain: 'cluster.local',
          files: { certificate: 'server.pem', key: 'server.key', bundles: { 'cluster.local': 'ca.pem' } },
        },
        inbound: [
          { listen: '127.0.0.1:15006', forwardTo: '127.0.0.1:19080' },
          { listen: '127.0.0.1:15016', mtls: 'DISABLE', forwardTo: '127.0.0.1:19080' },
        ],
        outbound: [
          { listen: '127.0.0.1:15001', forwardTo: '127.0.0.1:16006', expect: ['spiffe://cluster.local/ns/app/sa/peer'] },
        ],
        policies: { files: ['policies/'] },
        telemetry: { accessLog: { file: 'access.log' }, status: '127.0.0.1:15021', admin: 'admin.sock' },
      },
    });
    expect(readProxyConfig(asJson, '/p/proxy.yaml').config).toEqual(config);
  });

  test.each([
    ['unix:run/in.sock', { socket: '/p/run/in.sock' }],
    ['unix:/run/in.sock', { socket: '/run/in.sock' }],
    ['[::1]:15006', { host: '::1', port: 15006 }],
    ['0.0.0.0:0', { host: '0.0.0.0', port: 0 }],
    ['localhost:1', { host: 'localhost', port: 1 }],
  ])('reads the listener %s', (listen, want) => {
    const { config, faults } = readProxyConfig(SMALLEST.replace('127.0.0.1:15006', JSON.stringify(listen)), '/p/proxy.yaml');
    expect(faults.map(formatFault)).toEqual([]);
    expect(config?.inbound[0]?.listen).toEqual(want);
  });

  test('prints a fault as file:line:column, what was found, what was wanted', () => {
    const { faults } = readProxyConfig(SMALLEST.replace('STRICT', 'STRIKT'), 'proxy.yaml');
    expect(faults.map(formatFault)).toEqual([
      'proxy.yaml:10:40: found "STRIKT", wanted STRICT, PERMISSIVE or DISABLE (spec.inbound[0].mtls, PN0512)\n  fix: did you mean STRICT?',
    ]);
  });

  test.each(REFUSALS)('refuses $why', ({ edit: [from, to], at, code, message, fix }) => {
    const text = SMALLEST.replace(from, () => to);
    expect(text).not.toBe(SMALLEST);
    const { config, faults } = readProxyConfig(text, 'proxy.yaml');
    expect(config).toBeNull();
    const [first] = faults;
    expect(first).toMatchObject({ file: 'proxy.yaml', code });
    expect(first?.message).toContain(message);
    if (at !== undefined) expect([first?.line, first?.column]).toEqual(typeof at === 'string' ? placeOf(text, at) : at);
    if (fix !== undefined) expect(first?.fix).toBe(fix);
  });

  test('reports every fault of meaning at once, in the order of the file', () => {
    const text = SMALLEST.replace('kind: Proxy', 'kind: Pod').replace('STRICT', 'MAYBE').replace('format: json', 'fmt: json');
    const { faults } = readProxyConfig(text, 'proxy.yaml');
    expect(faults.map(({ line }) => line)).toEqual([2, 10, 15]);
  });

  test('gives a configuration or a fault within the file, whatever is cut, doubled or overwritten', () => {
    const edits = fc.record({ at: fc.nat(SMALLEST.length), cut: fc.nat(12), put: fc.string({ maxLength: 6, unit: 'binary' }) });
    fc.assert(
      fc.property(fc.array(edits, { minLength: 1, maxLength: 3 }), (list) => {
        let text = SMALLEST;
        for (const { at, cut, put } of list) text = text.slice(0, at) + put + text.slice(at + cut);
        const { config, faults } = readProxyConfig(text, 'proxy.yaml');
        expect(config === null).toBe(faults.length > 0);
        const lines = text.split('\n').length;
        for (const { line } of faults) expect(line).toBeLessThanOrEqual(lines);
      }),
      { numRuns: 500 },
    );
  });
});

function placeOf(text: string, found: string): [number, number] {
  const before = text.slice(0, text.indexOf(found));
  return [before.split('\n').length, before.length - before.lastIndexOf('\n')];
}

const OPTIONAL = `  trustedForwarders: [spiffe://cluster.local/ns/edge/sa/gateway, 10.0.0.0/8, "::1"]
  limits: { headBytes: 32KiB, fields: 64 }
  timeouts: { response: 1m, upstreamIdle: 250ms }
`;
