/**
 * The smuggling corpus against a running sidecar, in the clear and over mutual TLS, with an upstream that records every byte: what is
 * refused never reaches it, what breaks off never looks complete there, what is allowed arrives once and in our framing.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { SMUGGLING_CASES, type SmugglingCase } from '#test/conformance/http/smuggling.cases.ts';
import { requestLineOf, statusOf } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { plainClient, tlsClient, type RawClient } from '#test/support/raw-client.ts';
import { startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { eventually, figure, startSidecar, type Sidecar } from '#test/support/sidecar.ts';

const mesh = new MeshIdentities();
const counts = { heads: 0, bodies: 0, allowed: 0 };
let upstream: RawUpstream;
let sidecar: Sidecar;

beforeAll(async () => {
  upstream = await startUpstream();
  const forwardTo = `127.0.0.1:${upstream.port}`;
  sidecar = await startSidecar({
    mesh,
    inbound: [
      { mtls: 'STRICT', forwardTo },
      { mtls: 'DISABLE', forwardTo },
    ],
  });
});

afterAll(async () => {
  figure(
    `smuggling: ${counts.heads} head faults, ${counts.bodies} body faults, ${counts.allowed} allowed, each on its own connection`,
  );
  await sidecar[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

describe.each(['mTLS', 'plaintext'])('over %s', (transport) => {
  const connect = (): Promise<RawClient> =>
    transport === 'mTLS'
      ? tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid('web') })
      : plainClient(sidecar.inbound[1] ?? 0);

  describe('a head that is refused reaches the upstream with no byte', () => {
    test.each(rows('head'))('$id', async ({ raw, statuses }) => {
      await using client = await connect();
      upstream.forget();
      client.write(raw(0));
      await client.over(4_000);
      expect(client.reader.messages.map(statusOf)).toEqual(statuses);
      expect({ fault: client.reader.fault, rest: client.reader.isWithin }).toEqual({ fault: '', rest: false });
      expect(upstream.bytes).toBe(0);
      counts.heads++;
    });
  });

  describe.each([0, 9])('a body that is refused after %i good chunks is never complete at the upstream', (goodChunks) => {
    test.each(rows('body'))('$id', async ({ raw, statuses }) => {
      await using client = await connect();
      // The connection that the fault will be on has carried a request before, where the caller's pool has one.
      await client.ask('GET /before HTTP/1.1\r\nHost: app.test\r\n\r\n');
      upstream.forget();
      const used = upstream.open;
      expect(used.length).toBeGreaterThan(0);
      client.write(raw(goodChunks));
      await client.over(4_000);
      expect(client.reader.messages.slice(1).map(statusOf)).toEqual(statuses);
      expect(upstream.requests).toEqual([]);
      const broken = upstream.connections.filter((connection) => connection.reader.heads.length > 0);
      await eventually('the reset', () => broken.every(({ end }) => end === 'reset'), 2_000).catch(() => {});
      expect(broken.map(({ end }) => end)).toEqual(broken.map(() => 'reset'));

      await using next = await connect();
      await next.ask('GET /next HTTP/1.1\r\nHost: app.test\r\n\r\n');
      const carriers = upstream.connections.filter(({ requests }) => requests.some((each) => requestLineOf(each)[1] === '/next'));
      expect(carriers).toHaveLength(1);
      expect(broken).not.toContain(carriers[0]);
      counts.bodies++;
    });
  });

  describe('what is allowed arrives as it was meant', () => {
    test.each(rows('allowed'))('$id', async ({ raw, statuses, requests }) => {
      await using client = await connect();
      upstream.forget();
      client.write(raw(0));
      await client.until(() => finals(client).length >= statuses.length, 4_000);
      await sleep(15);
      expect(finals(client)).toEqual(statuses);
      expect(client.reader.fault).toBe('');
      const arrived = upstream.requests.map((each) => {
        const [method, target] = requestLineOf(each);
        return { method, target, body: each.body.toString('latin1') };
      });
      expect(arrived).toEqual(requests);
      expect(upstream.connections.map(({ reader }) => reader.fault).join('')).toBe('');
      counts.allowed++;
    });
  });
});

function finals(client: RawClient): number[] {
  return client.reader.messages.map(statusOf).filter((status) => status >= 200);
}

function rows(kind: SmugglingCase['kind']): SmugglingCase[] {
  return SMUGGLING_CASES.filter((row) => row.kind === kind);
}
