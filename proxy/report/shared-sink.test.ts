/** Several processes write their lines to one place; here they are several sinks, each with writes of its own under way. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { LineSink } from './line-sink.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-shared-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const LINES = 3_000;

async function writeAll(path: string): Promise<void> {
  const sinks = Array.from({ length: 3 }, () => new LineSink(path, true));
  for (let i = 0; i < LINES; i++) {
    for (const [n, sink] of sinks.entries()) sink.push(`${n} ${String(n).repeat(60 + (i % 900))} ${n}\n`);
    if (i % 400 === 399) {
      for (const sink of sinks) sink.flush();
      await sleep(60);
    }
  }
  for (const sink of sinks) await sink.close(10_000);
  expect(sinks.map(({ droppedLines }) => droppedLines)).toEqual([0, 0, 0]);
}

/** Lines that are missing, or are not as they were written. */
function faults(text: string): readonly string[] {
  const lines = text.split('\n').slice(0, -1);
  const missing = lines.length === 3 * LINES ? [] : [`${lines.length} lines`];
  return [...missing, ...lines.filter((line) => !/^(\d) \1+ \1$/u.test(line))];
}

test('a LineSink that is shared puts whole lines into a pipe, whoever else writes there', async () => {
  const path = join(folder, 'fifo');
  expect(spawnSync('mkfifo', [path]).status).toBe(0);
  const reader = spawn('cat', [path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  reader.stdout.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  const ended = once(reader, 'close');
  await writeAll(path);
  await ended;
  expect(faults(text)).toEqual([]);
});

test('a LineSink that is shared appends whole lines to a file', async () => {
  const path = join(folder, 'log');
  await writeAll(path);
  expect(faults(readFileSync(path, 'latin1'))).toEqual([]);
});
