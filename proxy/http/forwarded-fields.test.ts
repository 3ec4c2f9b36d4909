import fc from 'fast-check';
import { expect, test } from 'vitest';

import type { PeerIdentity } from '#certs/verify.ts';
import { clientCertElement, continuedFields, forwardedFields } from './forwarded-fields.ts';

function peer(changes: Partial<PeerIdentity> = {}): PeerIdentity {
  return {
    spiffeId: 'spiffe://demo.mesh/ns/shop/sa/web',
    trustDomain: 'demo.mesh',
    path: '/ns/shop/sa/web',
    notBeforeMs: 0,
    notAfterMs: 1,
    serial: '01',
    fingerprint: 'ab'.repeat(32),
    subject: '',
    dnsNames: [],
    ...changes,
  };
}

test('clientCertElement() writes its keys as Envoy and Istio do', () => {
  expect(
    clientCertElement('spiffe://demo.mesh/ns/shop/sa/orders', peer({ subject: 'O=shop', dnsNames: ['web.shop', 'b'] })),
  ).toBe(
    `By=spiffe://demo.mesh/ns/shop/sa/orders;Hash=${'ab'.repeat(32)};Subject="O=shop";URI=spiffe://demo.mesh/ns/shop/sa/web;DNS=web.shop;DNS=b`,
  );
  expect(clientCertElement(null, peer())).toBe(`Hash=${'ab'.repeat(32)};Subject="";URI=spiffe://demo.mesh/ns/shop/sa/web`);
});

test('whatever a certificate says of itself stays within its quotes and its line', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.array(fc.string({ unit: 'binary', maxLength: 40 }), { maxLength: 3 }),
      (subject, dnsNames) => {
        const element = clientCertElement('spiffe://demo.mesh/a', peer({ subject, dnsNames }));
        const lines = forwardedFields('10.0.0.1', element, true).toString('latin1');
        expect(lines.split('\r\n')).toHaveLength(4);
        // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
        expect(element).not.toMatch(/[\u0000-\u001f\u007f-\uffff]/);
        expect(elements(element)).toHaveLength(1);
        expect(pairs(element)).toHaveLength(4 + dnsNames.length);
        expect(pairs(element)[3]).toBe('URI=spiffe://demo.mesh/ns/shop/sa/web');
      },
    ),
  );
});

test('continuedFields() puts this hop behind what was said', () => {
  expect(continuedFields('10.0.0.1', 'URI=b', '192.0.2.1, 10.9.9.9', 'URI=a')).toBe(
    'x-forwarded-client-cert: URI=a,URI=b\r\nx-forwarded-for: 192.0.2.1, 10.9.9.9, 10.0.0.1\r\n',
  );
  expect(continuedFields('10.0.0.1', '', '', '')).toBe('x-forwarded-for: 10.0.0.1\r\n');
});

/** Splits outside of quotes, as a reader of the field does. */
function elements(text: string, separator = ','): string[] {
  const found = [''];
  let isQuoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? '';
    if (character === '\\' && isQuoted) found[found.length - 1] += text[++i] ?? '';
    else if (character === '"') isQuoted = !isQuoted;
    else if (character === separator && !isQuoted) found.push('');
    else found[found.length - 1] += character;
  }
  return found;
}

function pairs(text: string): string[] {
  return elements(text, ';');
}
