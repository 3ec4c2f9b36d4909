/**
 * A real Envoy that proves tokens as Istio has it do, beside ours: the same rules, keys and requests, the same app behind. Statuses and
 * what reaches the app are compared; where we differ, both are said, with the reason.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startEnvoyJwt, type EnvoyJwt, type EnvoyJwtRule } from '#test/support/envoy-jwt.ts';
import { statusOf } from '#test/support/http-reader.ts';
import { peer } from '#test/support/peers.ts';
import { plainClient } from '#test/support/raw-client.ts';
import { startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { policyYaml, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { mesh } from '#test/support/sidecar-pair.ts';
import { requestAuthentication, TokenIssuer } from '#test/support/token-issuer.ts';

const idp = new TokenIssuer('https://idp.test');
const other = new TokenIssuer('https://other.test');
const NOW = Math.floor(Date.now() / 1000);
const IDP = { issuer: idp.issuer, jwks: idp.jwks };
const OTHER = { issuer: other.issuer, jwks: other.jwks, fromHeaders: [{ name: 'x-other' }] };
const good = idp.token();
const [head = '', payload = '', signature = ''] = good.split('.');

interface Case {
  readonly why: string;
  readonly path?: string;
  readonly method?: string;
  readonly fields?: readonly string[];
  /** Envoy's answer, where it is another than ours. */
  readonly envoy?: number;
  /** Envoy lets the token of this field through: it takes none out of cookies, and of several rules obeys the first that passes. */
  readonly leaves?: string;
}

function bearer(why: string, token: string, envoy?: number): Case {
  const fields = [`Authorization: Bearer ${token}`];
  return envoy === undefined ? { why, fields } : { why, fields, envoy };
}

const TOKENS: readonly Case[] = [
  { why: 'no token' },
  bearer('a good token', good),
  bearer('no JWT', 'garbage'),
  bearer('no signature', `${head}.${payload}.`),
  bearer('two parts', `${head}.${payload}`),
  bearer('another signature', `${head}.${payload}.${signature.replace(/^./u, (one) => (one === 'A' ? 'B' : 'A'))}`),
  bearer('a payload of another token', `${head}.${idp.token({ sub: 'eve' }).split('.')[1] ?? ''}.${signature}`),
  bearer('alg none', idp.token({}, { alg: 'none' })),
  bearer('alg HS256', idp.token({}, { alg: 'HS256' })),
  bearer('alg RS256 for a key of ES256', idp.token({}, { alg: 'RS256' })),
  bearer('another kid', idp.token({}, { kid: 'k9' })),
  bearer('no kid', idp.token({}, { kid: undefined })),
  bearer('keys of somebody else', new TokenIssuer(idp.issuer).token()),
  bearer('another issuer', other.token()),
  // A token that has no issuer is any provider's to Envoy, if its signature is right.
  bearer('no issuer', idp.token({ iss: undefined })),
  bearer('another audience', idp.token({ aud: 'billing' })),
  bearer('one audience of several', idp.token({ aud: ['billing', 'orders'] })),
  bearer('no audience', idp.token({ aud: undefined })),
  bearer('over', idp.token({ exp: NOW - 120 })),
  // Envoy gives a minute of leeway; ours is a setting, none by default.
  bearer('over for ten seconds', idp.token({ exp: NOW - 10 }), 200),
  bearer('not yet', idp.token({ nbf: NOW + 600 })),
  bearer('not yet for twenty seconds', idp.token({ nbf: NOW + 20 }), 200),
  // What has no end, or one that is no number, is good for ever.
  bearer('no exp', idp.token({ exp: undefined }), 200),
  bearer('exp as a text', idp.token({ exp: String(NOW + 60) })),
  bearer('crit', idp.token({}, { crit: ['x'] }), 200),
  bearer('b64', idp.token({}, { b64: false }), 200),
  bearer('a key of its own', idp.token({}, { jwk: { kty: 'EC' } }), 200),
  bearer('sub as a number', idp.token({ sub: 7 })),
  bearer('a blank behind', `${good} `),
  { why: 'another scheme', fields: ['Authorization: Basic YTpi'] },
  { why: 'the query', path: `/a?access_token=${good}` },
  { why: 'a bad one in the query', path: '/a?access_token=x.y.z' },
  { why: 'a good one and a bad one', path: '/a?access_token=bad', fields: [`Authorization: Bearer ${good}`] },
  { why: 'a bad one and a good one', path: `/a?access_token=${good}`, fields: ['Authorization: Bearer bad'] },
  {
    why: 'a preflight with a bad token',
    method: 'OPTIONS',
    fields: ['Origin: https://a.test', 'Access-Control-Request-Method: GET', 'Authorization: Bearer bad'],
  },
];

const PLACES: readonly Case[] = [
  { why: 'a header', fields: [`X-Jwt: ${good}`] },
  { why: 'a header with its prefix', fields: [`X-Token: Token ${good}`] },
  { why: 'a header with another prefix', fields: [`X-Token: Bearer ${good}`] },
  { why: 'a parameter', path: `/a?x=1&jwt=${good}&y=2` },
  { why: 'a cookie', fields: [`Cookie: a=1; session=${good}; b=2`], leaves: 'cookie' },
  { why: 'a bad one in a cookie', fields: ['Cookie: session=bad'] },
  { why: 'Authorization, where nothing is looked for', fields: ['Authorization: Bearer bad'] },
  { why: 'of another rule', fields: [`X-Other: ${other.token()}`] },
  { why: 'of both rules', fields: [`X-Other: ${other.token()}`, `X-Jwt: ${good}`], leaves: 'x-other' },
  { why: 'of both, one bad', fields: ['X-Other: bad', `X-Jwt: ${good}`], leaves: 'x-other' },
  { why: 'of both, the other bad', fields: [`X-Other: ${other.token()}`, 'X-Jwt: bad'], leaves: 'x-jwt' },
  { why: 'both bad', fields: ['X-Other: bad', 'X-Jwt: bad'] },
  { why: 'in the place of the other', fields: [`X-Other: ${good}`] },
];

/** All that a rule hands on. */
const TELLING = {
  ...IDP,
  outputPayloadToHeader: 'x-payload',
  outputClaimToHeaders: ['sub', 'org.team', 'groups', 'level', 'ok', 'none'].map((claim) => ({
    header: `x-${claim.replace('.', '-')}`,
    claim,
  })),
};
const CLAIMS = { org: { team: 'blue' }, groups: ['a', 'b'], level: 7, ok: true };
const TOLD: readonly Case[] = [
  bearer('all of them', idp.token(CLAIMS)),
  { why: 'nothing, and the caller says it', fields: ['x-sub: root', 'x-payload: e30'] },
  { why: 'what the caller says otherwise', fields: ['x-sub: root', `Authorization: Bearer ${idp.token(CLAIMS)}`] },
];

const SETS: readonly { readonly name: string; readonly rules: readonly EnvoyJwtRule[]; readonly cases: readonly Case[] }[] = [
  { name: 'a rule of the usual places', rules: [{ ...IDP, audiences: ['orders'] }], cases: TOKENS },
  {
    name: 'rules of many places',
    rules: [
      {
        ...IDP,
        fromHeaders: [{ name: 'x-jwt' }, { name: 'x-token', prefix: 'Token ' }],
        fromParams: ['jwt'],
        fromCookies: ['session'],
      },
      OTHER,
    ],
    cases: PLACES,
  },
  { name: 'a rule that forwards', rules: [{ ...IDP, forwardOriginalToken: true }], cases: TOKENS.slice(0, 3) },
  { name: 'a rule that tells', rules: [TELLING], cases: TOLD },
];

describe.skipIf(peer('envoy') === null).each(SETS)('Envoy with $name', { timeout: 90_000 }, ({ cases, rules }) => {
  let app: RawUpstream;
  let envoy: EnvoyJwt;
  let sidecar: Sidecar;
  beforeAll(async () => {
    app = await startUpstream();
    envoy = await startEnvoyJwt(rules, app.port);
    sidecar = await startSidecar({
      mesh,
      inbound: [{ mtls: 'DISABLE', forwardTo: `127.0.0.1:${app.port}` }],
      policies: {
        'users.yaml': requestAuthentication(...rules.map((rule) => ({ ...rule }))),
        'allow.yaml': policyYaml('all', { action: 'ALLOW', rules: [{}] }),
      },
    });
  }, 90_000);
  afterAll(async () => {
    for (const each of [sidecar, envoy, app]) await each[Symbol.asyncDispose]();
  });

  async function outcome(port: number, { fields = [], method = 'GET', path = '/a' }: Case): Promise<Outcome> {
    app.requests.length = 0;
    await using client = await plainClient(port);
    const answer = await client.ask(`${method} ${path} HTTP/1.1\r\nHost: a\r\n${fields.map((one) => `${one}\r\n`).join('')}\r\n`);
    const [got] = app.requests;
    const told = (got?.fields ?? []).map(([name, value]): [string, string] => [name.toLowerCase(), value]);
    return {
      status: statusOf(answer),
      line: got?.startLine ?? '',
      fields: told.filter(([name]) => !OWN.test(name)).toSorted(byName),
    };
  }

  test.each(cases.map((each) => [each.why, each] as const))('says the same of %s', async (_, each) => {
    const ours = await outcome(sidecar.inboundPort, each);
    const theirs = await outcome(envoy.port, each);
    const { leaves } = each;
    if (leaves !== undefined) {
      expect([theirs.status, ours.status, ours.line]).toEqual([200, 200, theirs.line]);
      expect(theirs.fields.map(([name]) => name)).toContain(leaves);
      return expect(ours.fields).toEqual(leaves === 'cookie' ? [['cookie', 'a=1; b=2']] : []);
    }
    if (each.envoy === undefined) return expect(ours).toEqual(theirs);
    expect(theirs.status).toBe(each.envoy);
    expect(ours.status).toBe(401);
  });
});

interface Outcome {
  readonly status: number;
  readonly line: string;
  readonly fields: readonly (readonly [string, string])[];
}

function byName([one]: readonly [string, string], [other]: readonly [string, string]): number {
  return one < other ? -1 : Number(one > other);
}

/** What every proxy writes of itself. */
const OWN = /^(?:host|content-length|x-request-id|x-forwarded-.*|x-envoy-.*|traceparent)$/u;
