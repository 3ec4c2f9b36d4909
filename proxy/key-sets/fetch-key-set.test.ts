import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { KeySetRequest } from '#proto/key-sets.ts';
import { say, startKeyServer, type KeyAnswer, type KeyServer } from '#test/support/key-server.ts';
import { TokenIssuer } from '#test/support/token-issuer.ts';
import { fetchKeySet } from './fetch-key-set.ts';
import { isPublicAddress } from './guarded-lookup.ts';

const idp = new TokenIssuer('https://idp.test');
let server: KeyServer;
beforeAll(async () => {
  server = await startKeyServer(say(idp.jwks));
});
afterAll(() => server[Symbol.asyncDispose]());

function question(
  changes: Partial<KeySetRequest> & { readonly jwksUri?: string | null; readonly issuer?: string } = {},
): KeySetRequest {
  const { issuer = 'https://idp.test', jwksUri = server.url(), ...more } = changes;
  const source = { id: 'x', issuer, jwksUri, timeoutMs: 2_000 };
  return { id: 7, source, privateHosts: ['127.0.0.1', 'localhost'], authorities: server.authorities, ...more };
}

describe('fetchKeySet()', () => {
  test('brings the keys, the same text for the same keys', async () => {
    server.answer = say(idp.jwks, 'application/jwk-set+json; charset=utf-8');
    const fetched = await fetchKeySet(question());
    expect(fetched).toMatchObject({ id: 7, fault: null });
    expect(fetched.keys).toContain('"kid":"k1"');
    server.answer = say(JSON.stringify({ ...JSON.parse(idp.jwks), more: 1 }, null, 2));
    expect((await fetchKeySet(question({ jwksUri: server.url('/keys', 'localhost') }))).keys).toBe(fetched.keys);
  });

  test('finds the keys by the OpenID configuration of the issuer', async () => {
    const discovery =
      (issuer: string): KeyAnswer =>
      (response, request) => {
        const isFirst = request.url === '/tenant/.well-known/openid-configuration';
        say(isFirst ? JSON.stringify({ issuer, jwks_uri: server.url('/found') }) : idp.jwks)(response, request);
      };
    const issuer = server.url('/tenant');
    server.answer = discovery(issuer);
    expect(await fetchKeySet(question({ jwksUri: null, issuer }))).toMatchObject({ fault: null });
    expect(server.asked.at(-1)).toBe('/found');
    server.answer = discovery('https://other.test');
    expect(await fetchKeySet(question({ jwksUri: null, issuer }))).toMatchObject({ fault: 'key_set_discovery' });
  });

  test.each<readonly [string, KeyAnswer, string]>([
    ['a fault of the server', say('{}', 'application/json', 500), 'key_set_status'],
    ['a page', say('<html></html>', 'text/html'), 'key_set_type'],
    ['nothing', say('', 'application/json'), 'key_set_malformed'],
    ['no key', say('{"keys":[]}'), 'key_set_empty'],
    ['a shared secret', say('{"keys":[{"kty":"oct","k":"AAAA"}]}'), 'key_set_empty'],
    ['10 MB', say(`{"keys":[],"x":"${'x'.repeat(10_000_000)}"}`), 'key_set_size'],
    [
      '10 MB of unknown length',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        for (let i = 0; i < 10; i++) response.write('x'.repeat(1_000_000));
        response.end();
      },
      'key_set_size',
    ],
    ['nothing at all', () => {}, 'key_set_timeout'],
    [
      'a byte now and then',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const timer = setInterval(() => response.write(' '), 50);
        response.on('close', () => clearInterval(timer));
      },
      'key_set_timeout',
    ],
    ['a redirect', (response) => void response.writeHead(302, { location: server.url('/else') }).end(), 'key_set_status'],
    ['the end', (response) => response.destroy(), 'key_set_unreachable'],
  ])('tells what is wrong when the server answers with %s', async (_, answer, fault) => {
    server.answer = answer;
    server.asked.length = 0;
    expect(await fetchKeySet(question())).toMatchObject({ keys: null, fault });
    expect(server.asked).toEqual(['/keys']);
  });

  test.each([
    'http://127.0.0.1/keys',
    'ftp://idp.test/keys',
    'https://user:pass@idp.test/keys',
    'https://idp.test/keys#x',
    'nowhere',
  ])('asks nobody at %s', async (jwksUri) => {
    expect(await fetchKeySet(question({ jwksUri }))).toMatchObject({ fault: 'key_set_url' });
  });

  test.each([
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://127.1/',
    'https://0/',
    'https://10.0.0.1/',
    'https://172.31.255.255/',
    'https://192.168.1.1/',
    'https://100.64.0.1/',
    'https://169.254.169.254/latest/meta-data/',
    'https://192.0.0.192/',
    'https://224.0.0.1/',
    'https://255.255.255.255/',
    'https://[::1]/',
    'https://[::]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::127.0.0.1]/',
    'https://[fd00:ec2::254]/',
    'https://[fe80::1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[2002:7f00:1::]/',
    'https://localhost/',
  ])('connects to nobody at %s', async (jwksUri) => {
    server.asked.length = 0;
    const port = new URL(server.url()).port;
    const url = new URL(jwksUri);
    url.port = port;
    const { fault } = await fetchKeySet(question({ jwksUri: url.href, privateHosts: [] }));
    expect(fault).toBe('key_set_address');
    expect(server.asked).toEqual([]);
  });

  test('believes the authorities that are given, and no others', async () => {
    server.answer = say(idp.jwks);
    expect(await fetchKeySet(question({ authorities: null }))).toMatchObject({ fault: 'key_set_unreachable' });
    expect(await fetchKeySet(question({ authorities: '/nowhere.pem' }))).toMatchObject({ fault: 'key_set_unreachable' });
  });
});

test.each(['1.1.1.1', '8.8.8.8', '172.32.0.1', '2606:4700::1111'])('isPublicAddress() takes %s', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});
