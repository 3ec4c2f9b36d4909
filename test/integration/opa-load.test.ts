/**
 * A policy of OPA's under load: hostile evaluations hold up nobody, bundles are replaced under traffic, many questions at once are
 * bounded, and several processes write one log.
 */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { h2TlsClient, head } from '#test/support/h2-client.ts';
import { statusOf } from '#test/support/http-reader.ts';
import { linesOf, OpaBundles, replaceBundle, startOpa } from '#test/support/opa-bundles.ts';
import { peer } from '#test/support/peers.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { ok } from '#test/support/raw-upstream.ts';
import { eventually, figure } from '#test/support/sidecar.ts';
import { web } from '#test/support/sidecar-pair.ts';

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`;

describe.skipIf(peer('opa') === null)('a policy of OPA', { timeout: 60_000 }, () => {
  test.each(['wasm', 'plan'] as const)('that is hostile denies in time and holds up no other traffic (%s)', async (kind) => {
    using made = new OpaBundles(kind);
    // Steps enough for minutes of a plan: it is the clock that ends it.
    const settings = { timeout: '250ms', fuel: 2_000_000_000 };
    const { sidecar } = await startOpa(settings, { 'bundle.tar.gz': made.build('r1') });
    const quiet = await timesOf(sidecar.inboundPort, 2_000);
    const denials: { status: number; ms: number }[] = [];
    let isOver = false;
    const hostile = ['/loop', '/memory', '/range'].map(async (path) => {
      await using client = await tlsClient(sidecar.inboundPort, web);
      while (!isOver) {
        const begunMs = performance.now();
        denials.push({ status: statusOf(await client.ask(get(path))), ms: performance.now() - begunMs });
      }
    });
    const loaded = await timesOf(sidecar.inboundPort, 3_000);
    isOver = true;
    await Promise.all(hostile);
    expect(denials.length).toBeGreaterThan(5);
    expect(denials.every(({ status }) => status === 403)).toBe(true);
    const slowest = Math.max(...denials.map(({ ms }) => ms));
    expect(slowest).toBeLessThan(1_000);
    const codes = new Set(sidecar.log().map((line) => line['decision_code']));
    expect([...codes].some((code) => String(code).startsWith('opa_'))).toBe(true);
    expect(percentile(loaded, 99)).toBeLessThan(2 * percentile(quiet, 99) + 20);
    figure(
      `${kind}: ${denials.length} hostile evaluations denied, slowest after ${slowest.toFixed(0)} ms; p99 of other traffic ` +
        `${percentile(quiet, 99).toFixed(1)} ms before and ${percentile(loaded, 99).toFixed(1)} ms during it, p50 ` +
        `${percentile(quiet, 50).toFixed(2)} and ${percentile(loaded, 50).toFixed(2)} ms`,
    );
    await using client = await tlsClient(sidecar.inboundPort, web);
    await eventually('an answer', async () => statusOf(await client.ask(get('/items/1'))) === 200);
  });

  test('that is replaced under traffic fails no request, and each revision is seen soon', async () => {
    using made = new OpaBundles();
    const archives = Array.from({ length: 6 }, (_, i) => made.build(`r${i}`));
    const { sidecar, upstream } = await startOpa({}, { 'bundle.tar.gz': archives[0] ?? '' });
    const revisions: string[] = [];
    upstream.behaviour = {
      onRequest: (connection, request) => {
        revisions.push(request.fields.find(([name]) => name === 'x-revision')?.[1] ?? '');
        connection.write(ok(''));
      },
    };
    let isOver = false;
    let failures = 0;
    const callers = Array.from({ length: 4 }, async () => {
      await using client = await tlsClient(sidecar.inboundPort, web);
      while (!isOver) {
        if (statusOf(await client.ask(get('/items/1'))) !== 200) failures++;
        await sleep(5);
      }
    });
    const delays: number[] = [];
    for (const [i, archive] of archives.entries()) {
      if (i === 0) continue;
      const begunMs = performance.now();
      replaceBundle(sidecar, archive);
      await eventually('the revision', () => revisions.at(-1) === `r${i}`);
      delays.push(performance.now() - begunMs);
      await sleep(150);
    }
    isOver = true;
    await Promise.all(callers);
    expect(failures).toBe(0);
    // Once seen, an older one is not seen again by a request that began later: answers of both are mixed for one evaluation at most.
    expect(new Set(revisions)).toEqual(new Set(['r0', 'r1', 'r2', 'r3', 'r4', 'r5']));
    expect(Math.max(...delays)).toBeLessThan(1_500);
    figure(
      `5 bundles put in force under ${revisions.length} requests, 0 failures; seen after ` +
        `${delays.map((ms) => ms.toFixed(0)).join(', ')} ms`,
    );
  });

  test('gives each of a thousand requests at once its own answer, and denies those beyond its bound', async () => {
    using made = new OpaBundles();
    const { sidecar, upstream } = await startOpa(
      { concurrency: 800, timeout: '10s' },
      { 'bundle.tar.gz': made.build('r1') },
      { limits: { http2: { concurrentStreams: 1_100 } } },
    );
    upstream.behaviour = {
      onRequest: (connection, request) => connection.write(ok(request.fields.find(([name]) => name === 'x-item')?.[1] ?? '')),
    };
    await using client = await h2TlsClient(sidecar.inboundPort, web);
    const ids = Array.from({ length: 1_000 }, (_, i) => client.open(head('GET', `/items/${i}`)));
    await eventually('all answers', () => ids.every((id) => client.on(id).isOver), 30_000);
    const answers = ids.map((id, i) => ({ i, status: client.on(id).status, text: client.on(id).text }));
    expect(answers.filter(({ status }) => status === 200).every(({ i, text }) => text === String(i))).toBe(true);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 403]));
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(800);
    expect(await sidecar.logged(({ decision_code: code }) => code === 'provider_overloaded')).toMatchObject({
      response_code: 403,
    });
  });

  test('is told of by several processes in one log, to the last event', async () => {
    using made = new OpaBundles();
    const { sidecar } = await startOpa(
      { decisionLog: 'decisions.log' },
      { 'bundle.tar.gz': made.build('r1') },
      { concurrency: 2 },
    );
    const asked = 40;
    for (let i = 0; i < asked; i++) {
      await using client = await tlsClient(sidecar.inboundPort, web);
      expect(statusOf(await client.ask(get(`/items/${i}`)))).toBe(200);
    }
    process.kill(sidecar.process.pid, 'SIGTERM');
    await sidecar.process.exited;
    expect(existsSync(sidecar.path('decisions.log'))).toBe(true);
    const events = linesOf(sidecar, 'decisions.log');
    expect(new Set(events.map((event) => event['decision_id'])).size).toBe(asked);
    expect(new Set(sidecar.log().map((line) => line['decision_id']))).toEqual(
      new Set(events.map((event) => event['decision_id'])),
    );
  });
});

/** Times of requests that no authorizer is asked about, 100 a second over four connections. */
async function timesOf(port: number, forMs: number): Promise<readonly number[]> {
  const times: number[] = [];
  const untilMs = performance.now() + forMs;
  const callers = Array.from({ length: 4 }, async (_, i) => {
    await using client = await tlsClient(port, web);
    await sleep(10 * i);
    for (let dueMs = performance.now(); dueMs < untilMs; dueMs += 40) {
      await sleep(Math.max(0, dueMs - performance.now()));
      const begunMs = performance.now();
      expect(statusOf(await client.ask(get('/free')))).toBe(200);
      times.push(performance.now() - begunMs);
    }
  });
  await Promise.all(callers);
  return times.toSorted((a, b) => a - b);
}

function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0;
}
