/** Bundles over https, with a certificate that OpenSSL has made: the server is verified by name, or by address, and by no other authority. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { BundleDownload } from '#proxy/opa/bundle-download.ts';
import { peer, requirePeer } from '#test/support/peers.ts';

describe.skipIf(peer('openssl') === null)('a bundle server with TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-https-'));
  let server: ReturnType<typeof createServer>;

  beforeAll(async () => {
    make('server', 'DNS:localhost,IP:127.0.0.1');
    make('other', 'DNS:localhost,IP:127.0.0.1');
    const [key, cert] = ['server.key', 'server.pem'].map((name) => readFileSync(join(folder, name)));
    server = createServer({ key, cert }, (_, response) => response.writeHead(200, { etag: '"1"' }).end('archive'));
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function make(name: string, names: string): void {
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const subject = ['-subj', '/CN=bundles', '-addext', `subjectAltName=${names}`];
    const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.pem`)];
    execFileSync(requirePeer('openssl'), [...args, ...subject, ...files], { stdio: 'pipe' });
  }

  async function fetched(host: string, authority: string | null): Promise<string> {
    const { port } = server.address() as AddressInfo; // it listens on TCP
    const download = new BundleDownload(
      {
        url: `https://${host}:${port}/bundle.tar.gz`,
        token: null,
        file: null,
        maxBytes: 1_000,
        timeoutMs: 2_000,
        longPollSeconds: null,
        ca: authority === null ? null : readFileSync(join(folder, authority), 'utf8'),
      },
      () => undefined,
    );
    try {
      const found = await download.fetch();
      return found.kind === 'new' ? Buffer.from(found.archive).toString() : found.kind;
    } catch (error) {
      return String(error);
    } finally {
      await download.close();
    }
  }

  test.each(['localhost', '127.0.0.1'])('is believed as %s', async (host) => {
    expect(await fetched(host, 'server.pem')).toBe('archive');
  });

  test('is not believed by another authority, nor by those of the runtime', async () => {
    expect(await fetched('localhost', 'other.pem')).toMatch(/self-signed|certificate/u);
    expect(await fetched('localhost', null)).toMatch(/self-signed|certificate/u);
  });
});
