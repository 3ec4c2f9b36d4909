/**
 * Attacks by HTTP/2 on a running sidecar: the attacker is ended with a reason and costs less than it pays for, other identities are
 * served, memory stays bounded, the process lives. A second each; `POSTERN_ATTACK_SECONDS=60` is the recorded run.
 */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { expect, test } from 'vitest';

import { startHashingApp } from '#test/support/hashing-app.ts';
import { cpuMsOf } from '#test/support/process-cpu.ts';
import { runProcess } from '#test/support/processes.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { eventually, figure, startSidecar } from '#test/support/sidecar.ts';
import { keep, mesh, MIB, web } from '#test/support/sidecar-pair.ts';
import { SteadyLoad } from '#test/support/steady-load.ts';

import type { AttackCost, AttackOrder } from './attacker.ts';
import { ATTACKS } from './h2-attacks.ts';

const SECONDS = Number(process.env['POSTERN_ATTACK_SECONDS'] ?? 1);

test.each(ATTACKS)(
  '$name',
  async ({ name, reasons: wanted }) => {
    const app = keep(await startHashingApp());
    // Attacks by slowness are met by deadlines; these are short so that a test sees them.
    const sidecar = keep(
      await startSidecar({
        mesh,
        inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }],
        timeouts: { bodyIdle: '500ms' },
        limits: { http2: { preface: '500ms', openHead: '500ms', streamStall: '500ms' } },
      }),
    );
    const evil = mesh.svid('evil');
    writeFileSync(sidecar.path('evil.pem'), evil.certificatePem);
    writeFileSync(sidecar.path('evil.key'), evil.keyPem, { mode: 0o600 });
    const others = new SteadyLoad(
      () => tlsClient(sidecar.inboundPort, web),
      50,
      4,
      'GET /hash/1/1000 HTTP/1.1\r\nHost: app.test\r\n\r\n',
    );
    await eventually('the others being served', () => others.sent >= 20);
    const residentBefore = sidecar.residentBytes;
    const order: AttackOrder = {
      name,
      port: sidecar.inboundPort,
      certificate: sidecar.path('evil.pem'),
      key: sidecar.path('evil.key'),
      connections: 4,
      seconds: SECONDS < 2 && isSlow(name) ? 2 : SECONDS,
    };
    const [cpuBefore, sentBefore] = [cpuMsOf(sidecar.process.pid), others.sent];
    const attacker = await runProcess(process.execPath, [ATTACKER, JSON.stringify(order)], {
      timeoutMs: order.seconds * 1000 + 30_000,
    });
    const serverMs = cpuMsOf(sidecar.process.pid) - cpuBefore - (others.sent - sentBefore) * COST_OF_OTHERS_MS;
    await others.stop();
    expect(attacker.stderr).toBe('');
    const cost = JSON.parse(attacker.stdout) as AttackCost; // the attacker's own output
    const ratio = serverMs / cost.cpuMs;
    const grewMib = (sidecar.residentBytes - residentBefore) / MIB;
    figure(
      `${name}: ${order.seconds} s, ${cost.opened} connections, ${cost.mebibytes.toFixed(1)} MiB; CPU server ${serverMs.toFixed(0)} ms, attacker ${cost.cpuMs.toFixed(0)} ms, ` +
        `ratio ${ratio.toFixed(2)}; RSS +${grewMib.toFixed(0)} MiB; others ${others.sent - others.failures.length} of ${others.sent}`,
    );

    expect(cost.closed).toBeGreaterThan(0);
    const reasons = new Set(sidecar.log().flatMap(({ reason, detail }) => [String(reason), String(detail)]));
    expect(
      [...reasons].filter((reason) => wanted.includes(reason)),
      [...reasons].join(' '),
    ).not.toEqual([]);
    expect(others.failures.length).toBeLessThanOrEqual(others.sent / 100);
    expect(grewMib).toBeLessThan(GROWTH_MAX_MIB);
    expect(sidecar.process.isRunning).toBe(true);
    // A second holds the attacker's start-up and little else: only a longer run says what the two cost each other.
    if (SECONDS >= 10) expect(ratio).toBeLessThanOrEqual(3);
  },
  SECONDS * 1000 + 60_000,
);

/** Attacks that wait for a deadline need more than a second to meet it. */
function isSlow(name: string): boolean {
  return /windows of 0|held open|without end$|byte by byte/u.test(name);
}

const ATTACKER = resolve(import.meta.dirname, 'attacker.ts');
/** What one request of the others costs the sidecar, its share of handshakes included. */
const COST_OF_OTHERS_MS = 0.1;
const GROWTH_MAX_MIB = 120;
