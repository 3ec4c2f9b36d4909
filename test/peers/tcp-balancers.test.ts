/** HAProxy before a sidecar, sending PROXY protocol headers of both versions with all that it can put into them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { freePort } from '#test/support/free-port.ts';
import { valuesOf } from '#test/support/http-reader.ts';
import { peer, requirePeer } from '#test/support/peers.ts';
import { startProcess, type TestProcess } from '#test/support/processes.ts';
import { startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { mesh } from '#test/support/sidecar-pair.ts';
import { tcpClient } from '#test/support/tcp-app.ts';

/** What HAProxy is told to send, by the name of a proxy in its configuration. */
const KINDS = {
  v1: 'send-proxy',
  v2: 'send-proxy-v2',
  extended: 'send-proxy-v2 proxy-v2-options crc32c,unique-id,authority,ssl',
  secure: 'send-proxy-v2-ssl-cn ssl verify none crt web.pem alpn istio-http/1.1,istio,http/1.1',
} as const;
type Kind = keyof typeof KINDS;

/** The address from which a caller connects to HAProxy. */
const CALLER = '127.0.0.9';

describe.skipIf(peer('haproxy') === null)('HAProxy', { timeout: 60_000 }, () => {
  let folder = '';
  let upstream: RawUpstream;
  let sidecar: Sidecar;
  let haproxy: TestProcess;
  const ports: Record<Kind, number> = { v1: 0, v2: 0, extended: 0, secure: 0 };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'balancer-'));
    const { certificatePem, keyPem } = mesh.svid('web');
    writeFileSync(join(folder, 'web.pem'), certificatePem + keyPem, { mode: 0o600 });
    upstream = await startUpstream();
    const listed = { forwardTo: `127.0.0.1:${upstream.port}`, proxyProtocolFrom: ['127.0.0.1'] };
    sidecar = await startSidecar({
      mesh,
      inbound: [
        { mtls: 'DISABLE', ...listed },
        { mtls: 'PERMISSIVE', ...listed },
      ],
    });
    for (const kind of Object.keys(ports) as Kind[]) ports[kind] = await freePort(); // the keys of the very record
    writeFileSync(join(folder, 'haproxy.cfg'), configuration());
    haproxy = startProcess(requirePeer('haproxy'), ['-f', 'haproxy.cfg', '-db'], { cwd: folder });
    await haproxy.waitForPort(ports.secure, 20_000);
  }, 90_000);

  afterAll(async () => {
    await haproxy.end('SIGKILL');
    await sidecar[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  function configuration(): string {
    const proxies = (Object.entries(KINDS) as [Kind, string][]).map(([kind, options]) => {
      const target = kind === 'secure' ? (sidecar.inbound[1] ?? 0) : sidecar.inboundPort;
      return `listen ${kind}\n  bind 127.0.0.1:${ports[kind]}\n  unique-id-format %ci:%cp\n  server s 127.0.0.1:${target} ${options}\n`;
    });
    const timeouts = '  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n';
    return `global\n  maxconn 100\ndefaults\n  mode tcp\n${timeouts}${proxies.join('')}`;
  }

  test.each(Object.keys(KINDS) as Kind[])('tells the caller by %s', async (kind) => {
    const path = `/by-${kind}`;
    await using client = await tcpClient(ports[kind], CALLER);
    client.write(`GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`);
    await client.until(({ text }) => text.startsWith('HTTP/1.1 200'), 20_000);
    const request = upstream.requests.find(({ startLine }) => startLine.includes(path));
    expect(valuesOf(request?.fields ?? [], 'x-forwarded-for')).toEqual([CALLER]);
    const line = await sidecar.logged((each) => each['path'] === path);
    expect(line['proxied_source']).toBe(`${CALLER}:${client.socket.localPort ?? 0}`);
    expect(line['source_principal']).toBe(kind === 'secure' ? mesh.id('web') : null);
  });

  test('probes the port by LOCAL headers without a word in the log', async () => {
    const before = sidecar.log().length;
    const file = join(folder, 'check.cfg');
    const port = await freePort();
    writeFileSync(
      file,
      `${configuration().split('listen ')[0] ?? ''}listen checked\n  bind 127.0.0.1:${port}\n  server s 127.0.0.1:${sidecar.inboundPort} send-proxy-v2 check-send-proxy check inter 200\n`,
    );
    await using checking = startProcess(requirePeer('haproxy'), ['-f', file, '-db'], { cwd: folder });
    await checking.waitForPort(port, 20_000);
    await sleep(1_200);
    expect(checking.stderr).not.toContain('DOWN');
    expect(sidecar.log().slice(before)).toEqual([]);
  });
});
