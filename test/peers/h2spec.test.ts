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
      expect(await outcome(server.port)).toEqual(EVERY_CASE);
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
    const relay = isClear ? null : keep(await startTlsRelay(sidecar.inboundPort, web, ['h2']));
    expect(await outcome(relay?.port ?? sidecar.inboundPort)).toEqual(EVERY_CASE);
    expect(await sidecar.metric('postern_http2_faults_total')).toBeGreaterThan(50);
    // What is dropped after a fault lingers for two seconds.
    await eventually(
      'every connection to be closed',
      async () => (await sidecar.metric('postern_connections_open')) === 0,
      15_000,
    );
  },
  110_000,
);

/** How many cases it ran, and those that did not pass. */
async function outcome(port: number): Promise<{ cases: number; notPassed: readonly Case[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-h2spec-'));
  try {
    const report = join(folder, 'report.xml');
    await run(requirePeer('h2spec'), ['-h', '127.0.0.1', '-p', String(port), '-o', '2', '-S', '-j', report]);
    const cases = readCases(await readFile(report, 'utf8'));
    return { cases: cases.length, notPassed: cases.filter((each) => each.outcome !== 'passed') };
  } finally {
    await rm(folder, { recursive: true });
  }
}

const EVERY_CASE = { cases: 146, notPassed: [] };

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

/** Runs it to its end; it fails when a case does, which its report tells better. */
function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { stdio: 'ignore' });
    child.on('error', failed);
    child.on('close', () => done());
  });
}
