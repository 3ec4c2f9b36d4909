/**
 * h2spec, every case of its three suites: against a session alone, and against the listeners of a real sidecar, by prior knowledge and
 * by mutual TLS. A case that fails or is skipped is told by its name.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { EchoHandler, type Echo } from '#test/conformance/h2/echo-handler.ts';
import { serveSessions } from '#test/conformance/h2/session-socket.ts';
import { peer, requirePeer } from '#test/support/peers.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { eventually, startSidecar } from '#test/support/sidecar.ts';
import { startTlsRelay } from '#test/support/tls-relay.ts';

const hasNoPeer = peer('h2spec') === null;

test.skipIf(hasNoPeer)(
  'h2spec passes every case of generic, http2 and hpack',
  async () => {
    const server = await serveSessions<Echo>((socket) => new EchoHandler(socket));
    try {
      await expectEveryCase(server.port);
    } finally {
      await server.close();
    }
  },
  110_000,
);

test.skipIf(hasNoPeer).each(['h2c', 'mutual TLS'])(
  'h2spec passes every case against a sidecar, over %s',
  async (transport) => {
    const upstream = keep(await startUpstream({}));
    const forwardTo = `http://127.0.0.1:${upstream.port}`;
    const isClear = transport === 'h2c';
    const inbound = [{ mtls: isClear ? 'DISABLE' : 'STRICT', protocol: 'http2', forwardTo }];
    // Each case opens connections of its own, and what it does wrong is not to be held against the next.
    const sidecar = keep(await startSidecar({ mesh, inbound }));
    if (isClear) {
      await expectEveryCase(sidecar.inboundPort);
    } else {
      const relay = keep(await startTlsRelay(sidecar.inboundPort, web, ['h2']));
      await expectEveryCase(relay.port);
    }
    expect(await sidecar.metric('postern_http2_faults_total')).toBeGreaterThan(50);
    await eventually('every connection to be closed', async () => (await sidecar.metric('postern_connections_open')) === 0);
  },
  110_000,
);

async function expectEveryCase(port: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-h2spec-'));
  try {
    const report = join(folder, 'report.xml');
    const output = await run(requirePeer('h2spec'), ['-h', '127.0.0.1', '-p', String(port), '-o', '2', '-S', '-j', report]);
    const cases = readCases(await readFile(report, 'utf8'));
    expect(cases.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
    expect(cases.length, output.slice(-500)).toBe(146);
  } finally {
    await rm(folder, { recursive: true });
  }
}

interface Case {
  readonly name: string;
  readonly outcome: string;
}

/** The cases of a JUnit report: `<testcase package="..." classname="..."><failure>...</testcase>`. */
function readCases(xml: string): readonly Case[] {
  return [...xml.matchAll(/<testcase package="([^"]*)" classname="([^"]*)"[^>]*>(.*?)<\/testcase>/gs)].map((match) => {
    const [, section = '', name = '', content = ''] = match;
    const outcome = /<(failure|error|skipped)/.exec(content)?.[1] ?? 'passed';
    return { name: `${section} ${name}`, outcome };
  });
}

function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
    child.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()));
    child.on('error', failed);
    child.on('close', () => done(output));
  });
}
