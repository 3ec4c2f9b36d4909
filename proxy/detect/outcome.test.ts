import { expect, test } from 'vitest';

import { helloOutcome, outcomeOf, type Seen } from './outcome.ts';

const anything: readonly Seen[] = ['http1', 'http2', 'tls', 'raw', 'proxy', 'silence', 'unclear', 'end'];

test.each([
  { seen: 'http1', auto: 'http1', autoL7: 'http1', http: 'http1' },
  { seen: 'http2', auto: 'http2', autoL7: 'http2', http: 'http2' },
  { seen: 'proxy', auto: 'bad_proxy_header', autoL7: 'bad_proxy_header', http: 'bad_proxy_header' },
  { seen: 'tls', auto: 'tcp', autoL7: 'undetected', http: 'http1' },
  { seen: 'raw', auto: 'tcp', autoL7: 'undetected', http: 'http1' },
  { seen: 'unclear', auto: 'tcp', autoL7: 'undetected', http: 'http1' },
  { seen: 'silence', auto: 'tcp_tentative', autoL7: 'undetected', http: 'http1' },
  { seen: 'end', auto: 'close', autoL7: 'close', http: 'close' },
  { seen: 'more', auto: 'more', autoL7: 'more', http: 'more' },
] as const)('outcomeOf() of $seen is $auto, $autoL7 under rules about requests, $http where HTTP is declared', (row) => {
  expect(outcomeOf(row.seen, 'auto', false)).toBe(row.auto);
  expect(outcomeOf(row.seen, 'auto', true)).toBe(row.autoL7);
  expect(outcomeOf(row.seen, 'http', true)).toBe(row.http);
  expect(outcomeOf(row.seen, 'http', false)).toBe(row.http);
});

test('outcomeOf() never lets raw TCP pass where a policy reads requests or HTTP is declared', () => {
  const outcomes = anything.flatMap((seen) => [
    outcomeOf(seen, 'auto', true),
    outcomeOf(seen, 'http', true),
    outcomeOf(seen, 'http', false),
  ]);
  expect(outcomes).not.toContain('tcp');
  expect(outcomes).not.toContain('tcp_tentative');
});

test.each([
  { alpn: ['istio-h2', 'istio', 'h2'], undeclared: 'terminate', declared: 'terminate' },
  { alpn: ['istio-http/1.1', 'istio', 'http/1.1'], undeclared: 'terminate', declared: 'terminate' },
  { alpn: ['istio-http/1.0'], undeclared: 'terminate', declared: 'terminate' },
  { alpn: ['istio-peer-exchange', 'istio'], undeclared: 'terminate', declared: 'terminate' },
  { alpn: ['h2', 'http/1.1'], undeclared: 'pass', declared: 'foreign_tls' },
  { alpn: ['istio-h3', 'ISTIO'], undeclared: 'pass', declared: 'foreign_tls' },
  { alpn: [], undeclared: 'pass', declared: 'foreign_tls' },
])('helloOutcome() of $alpn: $undeclared, $declared where HTTP is declared', ({ alpn, undeclared, declared }) => {
  const hello = { alpn, serverName: null };
  for (const protocol of ['auto', 'tcp'] as const) expect(helloOutcome(hello, protocol)).toBe(undeclared);
  for (const protocol of ['http', 'http1', 'http2', 'grpc'] as const) expect(helloOutcome(hello, protocol)).toBe(declared);
});
