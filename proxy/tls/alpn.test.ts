import { expect, test } from 'vitest';

import { isHttp2, selectAlpn } from './alpn.ts';

test.each([
  { protocol: 'auto', offered: ['h2', 'http/1.1'], want: 'h2' },
  { protocol: 'auto', offered: ['http/1.1', 'h2'], want: 'h2' },
  { protocol: 'auto', offered: ['http/1.1'], want: 'http/1.1' },
  { protocol: 'http', offered: ['istio-h2', 'istio', 'h2'], want: 'h2' },
  { protocol: 'http', offered: ['istio-h2', 'istio'], want: 'istio-h2' },
  { protocol: 'http', offered: ['istio-http/1.1', 'istio', 'http/1.1'], want: 'http/1.1' },
  { protocol: 'http', offered: ['istio'], want: 'istio' },
  { protocol: 'auto', offered: ['istio-peer-exchange', 'istio'], want: 'istio' },
  { protocol: 'auto', offered: ['istio-peer-exchange'], want: undefined },
  { protocol: 'auto', offered: ['h3'], want: undefined },
  { protocol: 'auto', offered: [], want: undefined },
  { protocol: 'http1', offered: ['h2', 'http/1.1'], want: 'http/1.1' },
  { protocol: 'http1', offered: ['h2'], want: undefined },
  { protocol: 'http2', offered: ['h2', 'http/1.1'], want: 'h2' },
  { protocol: 'http2', offered: ['http/1.1'], want: undefined },
  { protocol: 'grpc', offered: ['istio-h2', 'istio', 'h2'], want: 'h2' },
  { protocol: 'grpc', offered: ['http/1.1'], want: undefined },
] as const)('selectAlpn() of $offered for a port of $protocol is $want', ({ protocol, offered, want }) => {
  expect(selectAlpn(protocol, offered)).toBe(want);
});

test.each([
  ['h2', true],
  ['istio-h2', true],
  ['http/1.1', false],
  ['istio', false],
  [false, false],
  [null, false],
] as const)('isHttp2() of %s is %s', (alpn, want) => {
  expect(isHttp2(alpn)).toBe(want);
});
