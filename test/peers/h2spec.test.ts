/**
 * h2spec against the session: every case of its three suites, over clear text, against a small server on the session. A case that
 * fails or is skipped is told by its name.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { EchoHandler, type Echo } from '#test/conformance/h2/echo-handler.ts';
import { serveSessions } from '#test/conformance/h2/session-socket.ts';
import { peer, requirePeer } from '#test/support/peers.ts';

test.skipIf(peer('h2spec') === null)(
  'h2spec passes every case of generic, http2 and hpack',
  async () => {
    const server = await serveSessions<Echo>((socket) => new EchoHandler(socket));
    const folder = await mkdtemp(join(tmpdir(), 'postern-h2spec-'));
    try {
      const report = join(folder, 'report.xml');
      const output = await run(requirePeer('h2spec'), [
        '-h',
        '127.0.0.1',
        '-p',
        String(server.port),
        '-o',
        '2',
        '-S',
        '-j',
        report,
      ]);
      const cases = readCases(await readFile(report, 'utf8'));
      expect(cases.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
      expect(cases.length, output.slice(-500)).toBe(146);
    } finally {
      await server.close();
      await rm(folder, { recursive: true });
    }
  },
  110_000,
);

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
