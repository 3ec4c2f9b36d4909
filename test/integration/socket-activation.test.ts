/** A sidecar that is given its listening sockets by the system: by the variables of systemd, whose part a shell plays here. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';

import { expect, onTestFinished, test } from 'vitest';

import { statusOf } from '#test/support/http-reader.ts';
import { plainClient } from '#test/support/raw-client.ts';
import { GET, keep, mesh } from '#test/support/sidecar-pair.ts';
import { eventually, startSidecar } from '#test/support/sidecar.ts';
import { startHttpApp } from '#test/support/speakers.ts';

test.each([1, 2])('%d processes serve a port that the system listens on, and who came before them', async (concurrency) => {
  const app = keep(await startHttpApp());
  const inbound = [{ mtls: 'DISABLE', forwardTo: `127.0.0.1:${app.port}` }];
  // Made for its folder: the process that counts here is the next one.
  const template = keep(await startSidecar({ mesh, inbound, concurrency }));
  await template.process.end('SIGTERM', 20_000);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const { fd } = (server as unknown as { readonly _handle: { readonly fd: number } })._handle; // Node shows it nowhere else
  const text = readFileSync(template.path('proxy.yaml'), 'utf8');
  writeFileSync(template.path('proxy.yaml'), text.replace(`127.0.0.1:${template.inboundPort}`, `127.0.0.1:${port}`));

  const start = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" bin/postern.js proxy -c "$1"';
  const child = spawn('sh', ['-c', start, process.execPath, template.path('proxy.yaml')], {
    stdio: ['ignore', 'ignore', 'pipe', fd],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
    server.close();
  });
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const exited = once(child, 'exit');
  // This process lets go of it; what the kernel accepts from now on waits for the sidecar.
  server.close();
  const early = await plainClient(port);
  const answer = early.ask(GET, 20_000);
  expect(statusOf(await answer)).toBe(200);
  early.socket.destroy();
  await eventually(
    'readiness',
    async () => (await template.status('/healthz/ready').catch(() => ({ code: 0 }))).code === 200,
    10_000,
  );
  expect(stderr).not.toContain('closed');
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
});
