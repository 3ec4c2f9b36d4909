/**
 * `npm run fuzz [-- --minutes N] [--target NAME,…] [--seed N]`: reads inputs made and changed at random until the time is over, each target
 * in its turn. An input whose fate is new is kept in memory and lends itself to others; the first of each fate stays in
 * test/fuzz/corpus. An input that breaks a promise, or on which a target stands still, ends the run with status 1 and is kept in
 * test/fuzz/found.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { Random } from './h1-inputs.ts';
import { mutate } from './mutate.ts';
import { FUZZ_TARGETS } from './targets.ts';

interface Order {
  readonly target: string;
  readonly seconds: number;
  readonly seed: number;
  /** The input being read: its length, then its bytes; so that it can be kept when reading it never ends. */
  readonly current: SharedArrayBuffer;
}

interface Outcome {
  readonly runs: number;
  readonly fates: number;
  readonly kept: number;
  /** What broke, or null. */
  readonly fault: string | null;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      target: { type: 'string', default: FUZZ_TARGETS.map(({ name }) => name).join(',') },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    },
  });
  const names = values.target.split(',');
  const unknown = names.filter((name) => !FUZZ_TARGETS.some((target) => target.name === name));
  if (unknown.length > 0)
    throw new Error(`Cannot fuzz "${unknown.join(', ')}": wanted ${FUZZ_TARGETS.map(({ name }) => name).join(', ')}`);
  const seconds = (Number(values.minutes) * 60) / names.length;
  for (const target of names) {
    const current = new SharedArrayBuffer(128 * 1024);
    const outcome = await runApart({ target, seconds, seed: Number(values.seed), current });
    console.log(
      `${target.padEnd(12)} ${outcome.runs} inputs, ${outcome.fates} fates, ${outcome.kept} new in the corpus, seed ${values.seed}`,
    );
    if (outcome.fault === null) continue;
    console.error(`${target}: ${outcome.fault}\nkept ${keepCurrent(target, current)}`);
    process.exitCode = 1;
  }
}

/** In a thread of its own, so that one that never ends is seen. */
function runApart(order: Order): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const worker = new Worker(import.meta.filename, { workerData: order });
  const progress = new Int32Array(order.current, 0, 2);
  let seen = -1;
  const watch = setInterval(() => {
    const runs = Atomics.load(progress, 0);
    if (runs === seen) {
      void worker.terminate();
      resolve({ runs, fates: 0, kept: 0, fault: `stood still for ${STILL_MS} ms` });
    }
    seen = runs;
  }, STILL_MS);
  worker.on('message', resolve);
  worker.on('error', (error) => resolve({ runs: Atomics.load(progress, 0), fates: 0, kept: 0, fault: String(error) }));
  return promise.finally(() => {
    clearInterval(watch);
    void worker.terminate();
  });
}

function work({ target: name, seconds, seed, current }: Order): Outcome {
  const target = FUZZ_TARGETS.find((each) => each.name === name);
  if (target === undefined) throw new Error(`Cannot fuzz "${name}"`);
  const random = new Random(seed);
  const progress = new Int32Array(current, 0, 2);
  const bytes = Buffer.from(current, 8);
  const corpus = readCorpus(name);
  const fates = new Set<string>();
  let kept = 0;
  let runs = 0;
  const read = (input: Buffer, isOfCorpus: boolean): void => {
    Atomics.store(progress, 1, input.copy(bytes));
    Atomics.store(progress, 0, ++runs);
    const fate = target.run(input, random);
    if (fates.has(fate) || fates.size >= FATES_MAX) return;
    fates.add(fate);
    if (isOfCorpus) return;
    corpus.push(Buffer.from(input));
    if (input.length <= KEPT_BYTES && corpus.length <= KEPT_INPUTS) {
      kept++;
      keepInCorpus(name, fate, input);
    }
  };
  for (const input of [...corpus]) read(input, true);
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    for (let i = 0; i < 100; i++) {
      const fresh = target.generate(random);
      const base = corpus.length > 0 && random.below(2) === 0 ? random.pick(corpus) : fresh;
      read(random.below(4) === 0 ? fresh : mutate(random, base, fresh), false);
    }
  }
  return { runs, fates: fates.size, kept, fault: null };
}

function readCorpus(name: string): Buffer[] {
  const folder = join(CORPUS, name);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .toSorted()
    .map((file) => readFileSync(join(folder, file)));
}

function keepInCorpus(name: string, fate: string, input: Buffer): void {
  const folder = join(CORPUS, name);
  mkdirSync(folder, { recursive: true });
  const file = fate.replaceAll(/[^a-z\d]+/giu, '-').slice(0, 60);
  writeFileSync(join(folder, `${file}.bin`), input);
}

function keepCurrent(name: string, current: SharedArrayBuffer): string {
  const length = Atomics.load(new Int32Array(current, 0, 2), 1);
  const folder = join(import.meta.dirname, 'found');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}-${Date.now()}.bin`);
  writeFileSync(file, Buffer.from(current, 8, length));
  return file;
}

const CORPUS = join(import.meta.dirname, 'corpus');
const STILL_MS = 5_000;
const FATES_MAX = 20_000;
/** Of one target in the repository. */
const KEPT_INPUTS = 60;
const KEPT_BYTES = 512;

if (isMainThread) await main();
// What `runApart` gave.
else parentPort?.postMessage(work(workerData as Order));
