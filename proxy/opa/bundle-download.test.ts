import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { BundleDownload } from './bundle-download.ts';
import type { Accept, BundleSource } from './bundle-download.ts';

type Serve = (request: IncomingMessage, response: ServerResponse) => void;

describe('BundleDownload', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-download-'));
  const file = join(folder, 'state/bundle');
  let server: Server;
  let url = '';
  let serve: Serve = notFound;
  const seen: IncomingMessage['headers'][] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      seen.push(request.headers);
      serve(request, response);
    });
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    // A server of TCP has such an address.
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/bundle.tar.gz`;
  });
  beforeEach(() => {
    seen.length = 0;
    rmSync(join(folder, 'state'), { recursive: true, force: true });
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const download = (change: Partial<BundleSource> = {}, accept: Accept = () => undefined): BundleDownload =>
    new BundleDownload(
      { url, token: null, file, maxBytes: 1_000, timeoutMs: 500, longPollSeconds: 1, ca: null, ...change },
      accept,
    );
  const once = async <T>(one: BundleDownload, run: (one: BundleDownload) => Promise<T>): Promise<T> => {
    try {
      return await run(one);
    } finally {
      await one.close();
    }
  };

  test('fetches, keeps what is good, and asks with its ETag from then on', async () => {
    serve = (request, response) => {
      if (request.headers['if-none-match'] === '"1"') response.writeHead(304).end();
      else response.writeHead(200, { etag: '"1"', 'content-type': 'application/gzip' }).end('archive');
    };
    await once(download({ token: 'secret' }), async (one) => {
      expect(one.restore()).toBeNull();
      expect(await one.fetch()).toEqual({ kind: 'new', archive: Buffer.from('archive') });
      expect(await one.fetch()).toEqual({ kind: 'unchanged' });
      expect(one.state()).toEqual({ etag: '"1"', isLongPoll: false, failures: 0 });
    });
    expect(seen.map((headers) => [headers['if-none-match'], headers['authorization'], headers['prefer']])).toEqual([
      [undefined, 'Bearer secret', 'modes=snapshot'],
      ['"1"', 'Bearer secret', 'modes=snapshot'],
    ]);
    await once(download(), async (one) => {
      expect(Buffer.from(one.restore() ?? []).toString()).toBe('archive');
      expect(await one.fetch()).toEqual({ kind: 'unchanged' });
    });
    expect(readdirSync(join(folder, 'state'))).toEqual(['bundle']);
  });

  test('waits for news where the server offers it', async () => {
    serve = (request, response) => {
      const waits = request.headers['prefer']?.includes('wait=1') === true;
      setTimeout(
        () => response.writeHead(200, { etag: '"2"', 'content-type': 'application/vnd.openpolicyagent.bundles' }).end('x'),
        waits ? 700 : 0,
      );
    };
    await once(download(), async (one) => {
      await one.fetch();
      expect(one.pauseMs(Math.random, 60_000)).toBe(0);
      const begun = performance.now();
      await one.fetch();
      expect(performance.now() - begun).toBeGreaterThan(600);
    });
    expect(seen.map(({ prefer }) => prefer)).toEqual(['modes=snapshot', 'modes=snapshot;wait=1']);
  });

  test.each<{ why: string; serve: Serve }>([
    { why: 'is not there', serve: notFound },
    { why: 'has an error', serve: (_, response) => response.writeHead(500).end('no') },
    { why: 'sends elsewhere', serve: (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end() },
    { why: 'says that nothing has changed to who has nothing', serve: (_, response) => response.writeHead(304).end() },
    { why: 'sends more than may be', serve: (_, response) => response.writeHead(200).end('x'.repeat(1_001)) },
    {
      why: 'breaks off',
      serve: (_, response) => response.writeHead(200, { 'content-length': '100' }).write('x', () => response.destroy()),
    },
    { why: 'does not answer', serve: () => undefined },
    { why: 'stops in the middle', serve: (_, response) => response.writeHead(200).write('x') },
  ])('a server that $why is a failure, and what was good stays', async ({ serve: given }) => {
    serve = (_, response) => response.writeHead(200, { etag: '"1"' }).end('good');
    await once(download(), (one) => one.fetch());
    serve = given;
    await once(download(), async (one) => {
      await expect(one.fetch()).rejects.toMatchObject({ name: 'PosternError', code: 'opa_bundle_download' });
      expect(one.state()).toEqual({ etag: null, isLongPoll: false, failures: 1 });
      expect(Buffer.from(one.restore() ?? []).toString()).toBe('good');
    });
  });

  test('an archive that is not accepted is not kept, and is asked for again', async () => {
    serve = (_, response) => response.writeHead(200, { etag: '"bad"' }).end('bad');
    const refuse: Accept = () => {
      throw new Error('no');
    };
    await once(download({}, refuse), async (one) => {
      await expect(one.fetch()).rejects.toThrow('no');
      await expect(one.fetch()).rejects.toThrow('no');
    });
    expect(seen.map((headers) => headers['if-none-match'])).toEqual([undefined, undefined]);
    expect(() => readFileSync(file)).toThrow(/ENOENT/u);
  });

  test('a stored archive that was changed is not restored', async () => {
    serve = (_, response) => response.writeHead(200).end('good');
    await once(download(), (one) => one.fetch());
    writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from('x')]));
    await once(download(), (one) => Promise.resolve(expect(one.restore()).toBeNull()));
  });

  test('waits longer after each failure, up to a minute', async () => {
    serve = notFound;
    await once(download(), async (one) => {
      const pauses: number[] = [];
      for (let index = 0; index < 12; index++) {
        await one.fetch().catch(() => undefined);
        pauses.push(one.pauseMs(() => 1, 30_000));
      }
      expect(pauses.slice(0, 4)).toEqual([100, 200, 400, 800]);
      expect(pauses.at(-1)).toBe(60_000);
    });
  });

  test.each(['http://bundles.test/x', 'ftp://127.0.0.1/x', 'https://user:pw@bundles.test/', 'bundle.tar.gz'])(
    'refuses %s',
    (bad) => {
      expect(() => download({ url: bad })).toThrow(/Cannot fetch bundles/u);
    },
  );
});

function notFound(_: IncomingMessage, response: ServerResponse): void {
  response.writeHead(404).end();
}
