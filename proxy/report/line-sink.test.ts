import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, onTestFinished, test } from 'vitest';

import { LineSink } from './line-sink.ts';

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'sink-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function fifo(): string {
  const path = join(folder(), 'fifo');
  expect(spawnSync('mkfifo', [path]).status).toBe(0);
  return path;
}

test('LineSink writes every line, in order, into a file of mode 0640', async () => {
  const path = join(folder(), 'log');
  const sink = new LineSink(path);
  const lines = Array.from({ length: 5_000 }, (_, i) => `line ${i} ${'x'.repeat(i % 300)}\n`);
  for (const [i, line] of lines.entries()) {
    sink.push(line);
    if (i % 1_000 === 999) await sleep(5);
  }
  await sink.close(2_000);
  expect(readFileSync(path, 'utf8')).toBe(lines.join(''));
  expect(statSync(path).mode & 0o777 & ~0o640).toBe(0);
  expect(sink.droppedLines).toBe(0);
});

test('LineSink never waits for a reader of a FIFO, and counts what is lost', async () => {
  const path = fifo();
  const startedAt = performance.now();
  const sink = new LineSink(path);
  for (let i = 0; i < 40_000; i++) sink.push(`line ${i} ${'x'.repeat(90)}\n`);
  expect(performance.now() - startedAt).toBeLessThan(1_000);
  expect(sink.droppedLines).toBeGreaterThan(20_000);
  const dropped = sink.droppedLines;

  // A reader that comes late gets whole lines, the oldest first.
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  let text = '';
  const bytes = Buffer.alloc(65_536);
  for (let idle = 0; idle < 60;) {
    try {
      const read = readSync(reader, bytes);
      text += bytes.toString('latin1', 0, read);
      idle = 0;
    } catch {
      idle++;
      await sleep(10);
    }
  }
  closeSync(reader);
  const lines = text.split('\n').slice(0, -1);
  expect(lines).toHaveLength(40_000 - dropped);
  expect(lines.every((line, i) => line.startsWith(`line ${i} `))).toBe(true);
  await sink.close(500);
});

test('LineSink closes in time although nobody reads', async () => {
  const sink = new LineSink(fifo());
  for (let i = 0; i < 20_000; i++) sink.push(`line ${i} ${'x'.repeat(90)}\n`);
  const startedAt = performance.now();
  await sink.close(300);
  expect(performance.now() - startedAt).toBeLessThan(1_000);
});

test('LineSink goes on in a new file when the old one was moved away', async () => {
  const at = folder();
  const path = join(at, 'log');
  const sink = new LineSink(path);
  for (let rotation = 0; rotation < 20; rotation++) {
    for (let i = 0; i < 2_000; i++) sink.push(`${rotation} ${i} ${'x'.repeat(90)}\n`);
    renameSync(path, join(at, `log.${rotation}`));
    // Writes are under way: the old file must not be closed under them.
    sink.reopen();
    await sleep(3);
  }
  await sink.close(2_000);
  const text = readdirSync(at)
    .map((name) => readFileSync(join(at, name), 'utf8'))
    .join('');
  expect(text.split('\n').filter((line) => line !== '')).toHaveLength(40_000 - sink.droppedLines);
  expect(sink.droppedLines).toBe(0);
});

test('LineSink keeps its file when the new one cannot be opened', async () => {
  const at = folder();
  const path = join(at, 'log');
  const sink = new LineSink(path);
  sink.push('before\n');
  await sleep(250);
  renameSync(path, join(at, 'old'));
  mkdirSync(path);
  sink.reopen();
  sink.push('after\n');
  await sink.close(2_000);
  expect(readFileSync(join(at, 'old'), 'utf8')).toBe('before\nafter\n');
});

test('LineSink tells the operator of a file that it cannot open', () => {
  expect(() => new LineSink('/nowhere/at/all.log')).toThrow(/Cannot open "\/nowhere\/at\/all\.log"/);
});

test('LineSink counts lines that a full disk takes away', async () => {
  const sink = new LineSink('/dev/full');
  sink.push('one\n');
  sink.push('two\n');
  sink.flush();
  await sleep(50);
  expect(sink.droppedLines).toBe(2);
  await sink.close(500);
});
