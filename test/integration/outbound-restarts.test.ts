/** Peers that restart one after the other, or die, under a steady load: calls that may be done twice do not notice. */
import { describe, expect, test } from 'vitest';

import { freePort } from '#test/support/free-port.ts';
import { plainClient } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { keep, mesh } from '#test/support/sidecar-pair.ts';
import { figure, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { SteadyLoad } from '#test/support/steady-load.ts';

describe('two peers of one upstream', () => {
  test.each([
    ['drain and restart in turn', 'SIGTERM'],
    ['are killed and restart in turn', 'SIGKILL'],
  ] as const)('that %s lose no GET', async (what, signal) => {
    const app = keep(await startUpstream({}));
    const ports = [await freePort(), await freePort()];
    const start = (port: number): Promise<Sidecar> =>
      startSidecar({
        mesh,
        inbound: [{ listen: `127.0.0.1:${port}`, mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }],
        timeouts: { drain: '3s' },
      });
    const peers = await Promise.all(ports.map(start));
    const sidecar = keep(
      await startSidecar({
        mesh,
        account: 'web',
        outbound: [
          {
            endpoints: ports.map((port) => `127.0.0.1:${port}`),
            expect: [mesh.id('app')],
            retries: { attempts: 2, budgetPercent: 100 },
          },
        ],
      }),
    );
    const load = new SteadyLoad(() => plainClient(sidecar.outboundPort), 200, 8, 'GET /x HTTP/1.1\r\nHost: a\r\n\r\n');
    try {
      for (const index of [0, 1, 0, 1]) {
        await peers[index]?.process.end(signal, 15_000);
        await new Promise((settle) => setTimeout(settle, 300));
        const port = ports[index];
        if (port !== undefined) peers[index] = await start(port);
      }
    } finally {
      await load.stop();
      for (const peer of peers) await peer[Symbol.asyncDispose]();
    }
    figure(`peers that ${what}: 4 restarts, ${load.sent} calls, ${load.failures.length} failed`);
    expect(load.failures).toEqual([]);
    expect(load.sent).toBeGreaterThan(50);
  });
});
