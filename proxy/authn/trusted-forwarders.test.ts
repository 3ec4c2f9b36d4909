import { expect, test } from 'vitest';

import { TrustedForwarders } from './trusted-forwarders.ts';

const trusted = new TrustedForwarders([
  'spiffe://demo.mesh/ns/edge/sa/gateway',
  '10.1.0.0/16',
  '192.0.2.7',
  '2001:db8::/32',
  '::1',
]);

test.each([
  ['a listed SPIFFE ID', 'spiffe://demo.mesh/ns/edge/sa/gateway', '203.0.113.1', true],
  ['another one below it', 'spiffe://demo.mesh/ns/edge/sa/gateway/x', '203.0.113.1', false],
  ['one in capitals', 'spiffe://DEMO.mesh/ns/edge/sa/gateway', '203.0.113.1', false],
  ['an address of a range', null, '10.1.255.255', true],
  ['the address beside it', null, '10.2.0.0', false],
  ['a single address', null, '192.0.2.7', true],
  ['its neighbour', null, '192.0.2.8', false],
  ['an IPv6 address of a range', null, '2001:db8:ffff::1', true],
  ['one beside it', null, '2001:db9::1', false],
  ['a listed IPv6 address', null, '::1', true],
  ['no address at all', null, '', false],
  ['a stranger by name from a listed address', 'spiffe://demo.mesh/ns/x/sa/x', '10.1.2.3', true],
])('TrustedForwarders judges %s', (_who, principal, address, want) => {
  expect(trusted.includes(principal, address)).toBe(want);
});

test('TrustedForwarders trusts nobody by default', () => {
  const none = new TrustedForwarders([]);
  expect(none.includes('spiffe://demo.mesh/ns/edge/sa/gateway', '127.0.0.1')).toBe(false);
});
