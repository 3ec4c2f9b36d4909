import { setImmediate as turn } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { verifyToken } from '#certs/jwt/verify-token.ts';
import type { KeySetNews } from '#proto/key-sets.ts';
import { TokenIssuer } from '#test/support/token-issuer.ts';
import { KeyStore } from '../authn/tokens/key-store.ts';
import { planTokens } from '../authn/tokens/token-plan.ts';
import { TokenAuthenticator } from '../authn/tokens/token-authenticator.ts';
import { TokenCounts } from '../authn/tokens/proof-cache.ts';
import { requestHead, ruleOf } from '#test/support/token-request.ts';
import { KeySchedule, type FetchedKeys } from './key-schedule.ts';

const idp = new TokenIssuer('https://idp.test');
const SOURCE = { id: 'https://idp.test/keys', issuer: idp.issuer, jwksUri: 'https://idp.test/keys', timeoutMs: 5_000 };
const DOWN: FetchedKeys = { keys: null, fault: 'key_set_unreachable', detail: '' };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** The schedule with the store of a data process behind it, under one clock. */
class World {
  nowMs = Date.now();
  fetches = 0;
  answer: FetchedKeys = { keys: idp.jwks, fault: null, detail: '' };
  readonly news: KeySetNews[] = [];
  readonly store: KeyStore = new KeyStore((source) => this.schedule.want(source));
  readonly schedule = new KeySchedule({
    fetch: () => {
      this.fetches++;
      return Promise.resolve(this.answer);
    },
    nowMs: () => this.nowMs,
    random: () => 0.5,
    refreshMs: 5 * MINUTE,
    onNews: (news) => {
      this.news.push(news);
      this.store.take(news);
    },
  });
  readonly users: TokenAuthenticator;

  constructor() {
    this.store.follow([SOURCE]);
    const plan = planTokens([ruleOf({ issuer: idp.issuer, jwksUri: SOURCE.jwksUri })], this.store, 'sha256:x', 0);
    this.users = new TokenAuthenticator({ plan, keyMaxAgeMs: 24 * HOUR, counts: new TokenCounts() });
    this.schedule.follow([SOURCE]);
  }

  async pass(ms: number, stepMs = 10_000): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.nowMs += Math.min(left, stepMs);
      this.schedule.look();
      await turn();
    }
  }

  judge(token: string): string | null {
    return this.users.authenticate(requestHead('GET', '/', [['authorization', `Bearer ${token}`]]), this.nowMs);
  }
}

describe('key sets over time', () => {
  test('are fetched at once and every few minutes, each once at a time', async () => {
    const world = new World();
    world.schedule.look();
    await turn();
    expect(world.fetches).toBe(1);
    await world.pass(HOUR);
    expect(world.fetches).toBe(13);
    expect(world.judge(idp.token({ exp: Math.floor(world.nowMs / 1000) + 60 }))).toBeNull();
  });

  test('serve an hour without their server, and until they are too old; then they are refused by a code of their own', async () => {
    const world = new World();
    await turn();
    world.answer = DOWN;
    await world.pass(HOUR);
    const later = Math.floor(world.nowMs / 1000) + 48 * 3600;
    expect(world.judge(idp.token({ exp: later }))).toBeNull();
    // It is asked for again and again, but not in a storm.
    expect(world.fetches).toBeGreaterThan(60);
    expect(world.fetches).toBeLessThan(200);
    await world.pass(23 * HOUR - MINUTE, MINUTE);
    expect(world.judge(idp.token({ exp: later }))).toBeNull();
    await world.pass(2 * MINUTE);
    expect(world.judge(idp.token({ exp: later }))).toBe('jwt_keys_stale');
    world.answer = { keys: idp.jwks, fault: null, detail: '' };
    await world.pass(MINUTE);
    expect(world.judge(idp.token({ exp: later }))).toBeNull();
  });

  test('that never came refuse every token', async () => {
    const world = new World();
    expect(world.judge(idp.token())).toBe('jwt_no_keys');
    await turn();
    expect(world.judge(idp.token())).toBeNull();
  });

  test('are fetched at most twice for 10,000 tokens with keys that nobody knows', async () => {
    const world = new World();
    await turn();
    world.fetches = 0;
    for (let index = 0; index < 10_000; index++) {
      const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid: `kid-${index}` })).toString('base64url');
      const payload = Buffer.from(JSON.stringify({ iss: idp.issuer, exp: 9_999_999_999 })).toString('base64url');
      expect(world.judge(`${header}.${payload}.${'A'.repeat(86)}`)).toBe('jwt_key_unknown');
      if (index % 100 === 0) await world.pass(200, 200);
    }
    expect(world.fetches).toBeGreaterThan(0);
    expect(world.fetches).toBeLessThanOrEqual(2);
  });

  test('have a new key soon after the first token that names it', async () => {
    const world = new World();
    await turn();
    await world.pass(40_000);
    const rotated = new TokenIssuer(idp.issuer);
    rotated.rotate('new');
    world.answer = { keys: rotated.jwks, fault: null, detail: '' };
    expect(world.judge(rotated.token())).toBe('jwt_key_unknown');
    await turn();
    expect(world.judge(rotated.token())).toBeNull();
    expect(verifyToken(idp.token(), null, { issuer: null, audiences: [] }, world.nowMs)).toMatchObject({ code: 'jwt_no_keys' });
  });

  test('are new only when they are others than before', () => {
    const { store } = new World();
    const news = { source: SOURCE.id, keys: idp.jwks, fetchedMs: 5, fault: null };
    expect(store.take(news)).toBe(true);
    expect(store.take({ ...news, fetchedMs: 9 })).toBe(false);
    expect(store.of(SOURCE.id).fetchedMs).toBe(9);
    expect(store.take({ ...news, source: 'https://another.test' })).toBe(false);
    expect(store.take({ ...news, keys: null, fault: 'key_set_type' })).toBe(false);
    expect(store.of(SOURCE.id)).toMatchObject({ fault: 'key_set_type', fetchedMs: 9 });
  });

  test('are no longer asked for once no policy names them', async () => {
    const world = new World();
    await turn();
    world.schedule.follow([]);
    world.fetches = 0;
    await world.pass(HOUR);
    expect(world.fetches).toBe(0);
    expect(world.schedule.isEmpty).toBe(true);
  });
});
