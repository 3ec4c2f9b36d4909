/**
 * Runs the windows. All entrants of a setup live at once on ports of their own and take turns in short windows, the order
 * rotating each round, so that neighbours in a ratio are neighbours in time. A window's requests are all begun and all answered
 * between the two readings of CPU time; connections are opened before the first.
 */
import { appendFileSync, existsSync, mkdirSync, statSync, truncateSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificates } from './certificates.ts';
import { checkAccessLog, passGate } from './gate.ts';
import { type Load, type Loader, type Programs, startLoader } from './load/loader.ts';
import type { Cores } from './machine.ts';
import { policySet } from './policy-set.ts';
import { coreBusyUs, cpuPressure, ownCpuUs, processCost, processMemory, processTree } from './process-cost.ts';
import { freePorts, type Running, startProcess } from './processes.ts';
import { type Entrant, entrantName, type Scenario, type Setup } from './scenarios.ts';
import type { Job, Launch, Target } from './targets/target.ts';

export interface Options {
  readonly rounds: number;
  readonly seconds: number;
  /** Before an entrant's first scenario; the later ones get a third of it. */
  readonly warmSeconds: number;
  /** After start, load and close, before memory is read. */
  readonly settleMs: number;
  readonly nodeOptions: string;
}

export interface Bench {
  readonly folder: string;
  readonly certificates: Certificates;
  readonly programs: Programs;
  readonly upstreamPort: number;
  /** The gRPC app. */
  readonly grpcPort: number;
  readonly cores: Cores;
  readonly targets: ReadonlyMap<string, Target>;
  readonly options: Options;
  readonly say: (line: string) => void;
}

/** One window of one entrant. Figures of CPU are per request (per handshake). */
export interface Row {
  readonly round: number;
  readonly cpu: number;
  readonly userUs: number;
  readonly systemUs: number;
  readonly perSecond: number;
  readonly requests: number;
  readonly bad: number;
  readonly badStatus: number;
  readonly reopened: number;
  /** Share of its wish to run that the proxy spent waiting for a core. */
  readonly waited: number;
  /** Share of the proxy's core that others used. */
  readonly foreign: number;
  readonly pressure: number;
  readonly rssMb: number;
  readonly p50: number;
  readonly p99: number;
}

export interface MemoryRow {
  readonly round: number;
  readonly startMs: number;
  /** Up to ready, helper processes included. */
  readonly startCpuMs: number;
  /** The same of the process that carries traffic alone. */
  readonly startOwnCpuMs: number;
  readonly idleRssMb: number;
  readonly idleAnonymousMb: number;
  /** After the first hundred connections, which make a proxy load and compile what idles until then. */
  readonly usedRssMb: number;
  readonly loadedRssMb: number;
  /** Of each further connection: `connections` beside the first hundred. */
  readonly connectionKb: number;
  readonly closedRssMb: number;
  readonly connections: number;
}

export interface Outcome {
  readonly scenario: Scenario;
  readonly rows: Map<string, Row[]>;
  readonly memory: Map<string, MemoryRow[]>;
  /** What was wrong, by entrant; such an entrant has no rows. */
  readonly faults: Map<string, string>;
}

export async function measureSetup(bench: Bench, setup: Setup, wanted: readonly Scenario[]): Promise<Outcome[]> {
  const scenarios = setup.scenarios.filter((one) => wanted.includes(one));
  if (scenarios.length === 0) return [];
  const entrants = setup.entrants.filter((one) => bench.targets.get(one.target)?.jobs.includes(setup.job) === true);
  if (scenarios.every((one) => one.measure === 'memory')) {
    return [await measureMemory(bench, setup.job, entrants, scenarios[0] ?? fail())];
  }

  const faults = new Map<string, string>();
  const contestants: Contestant[] = [];
  const outcomes: Outcome[] = [];
  try {
    for (const entrant of entrants) {
      try {
        const contestant = await enter(bench, setup.job, entrant);
        contestants.push(contestant);
        await passGate(setup.job, contestant.port, bench.certificates, entrant.rules > 0);
      } catch (error) {
        const at = contestants.findIndex((one) => one.name === entrantName(entrant));
        for (const failed of at === -1 ? [] : contestants.splice(at, 1)) await failed.process?.stop();
        faults.set(entrantName(entrant), describe(error));
      }
    }
    for (const [index, scenario] of scenarios.entries()) {
      const warmSeconds = bench.options.warmSeconds / (index === 0 ? 1 : 3);
      outcomes.push(await measureScenario(bench, setup.job, contestants, scenario, warmSeconds, new Map(faults)));
    }
  } finally {
    for (const one of contestants) await one.process?.stop();
  }
  return outcomes;
}

interface Contestant {
  readonly name: string;
  readonly port: number;
  /** Null for the app itself, without a proxy. */
  readonly process: Running | null;
  readonly launch: Launch | null;
  readonly startCpuMs: number;
  readonly startOwnCpuMs: number;
}

async function enter(bench: Bench, job: Job, entrant: Entrant): Promise<Contestant> {
  const name = entrantName(entrant);
  const target = bench.targets.get(entrant.target) ?? fail();
  const [port = 0, peerPort = 0, statusPort = 0, peerStatusPort = 0] = await freePorts(4);
  const folder = `${bench.folder}/${name.replaceAll(' ', '-')}-${port}`;
  mkdirSync(folder);
  const launch = target.prepare({
    folder,
    certificates: bench.certificates,
    job,
    port,
    peerPort,
    statusPort,
    peerStatusPort,
    upstreamPort: job === 'grpc' ? bench.grpcPort : bench.upstreamPort,
    rules: policySet(entrant.rules),
    nodeOptions: bench.options.nodeOptions,
  });
  const process = await startProcess(launch, bench.cores.proxy);
  const cost = processCost(process.pid);
  const startOwnCpuMs = ownCpuUs(process.pid) / 1000;
  return { name, port, process, launch, startCpuMs: (cost.userUs + cost.systemUs) / 1000, startOwnCpuMs };
}

async function measureScenario(
  bench: Bench,
  job: Job,
  contestants: readonly Contestant[],
  scenario: Scenario,
  warmSeconds: number,
  faults: Map<string, string>,
): Promise<Outcome> {
  bench.say(`${scenario.name}: ${scenario.what}`);
  const outcome: Outcome = { scenario, rows: new Map(), memory: new Map(), faults };
  const floor: Contestant = {
    name: 'no proxy',
    port: bench.upstreamPort,
    process: null,
    launch: null,
    startCpuMs: 0,
    startOwnCpuMs: 0,
  };
  const all = [...contestants.filter((one) => one.process?.hasEnded() === false), ...(scenario.withFloor ? [floor] : [])];
  const loaders = new Map<Contestant, Loader>();
  try {
    for (const one of all) {
      const isPlain = one.process === null || job === 'pair';
      const load = loadOf(bench, job, scenario, one.port, scenario.connections);
      const loader = startLoader(bench.programs, load, isPlain ? null : bench.certificates, bench.cores.load);
      loaders.set(one, loader);
      outcome.rows.set(one.name, []);
      const warm = await openWindow(loader, scenario, warmSeconds);
      if (warm.requests === 0 || warm.bad > warm.requests / 100) {
        faults.set(one.name, `warm-up: ${warm.bad} of ${warm.requests} bad, the first with status ${warm.badStatus}`);
        outcome.rows.delete(one.name);
      } else if (scenario.measure === 'closed' && job !== 'tcp') {
        // A raw connection is logged when it ends, and these live on.
        await sleep(LOG_FLUSH_MS);
        inspectLog(one, outcome);
      }
    }
    for (let round = 0; round < bench.options.rounds; round++) {
      for (let turn = 0; turn < all.length; turn++) {
        const one = all[(turn + round) % all.length] ?? fail();
        const loader = loaders.get(one) ?? fail();
        const rows = outcome.rows.get(one.name);
        if (rows === undefined) continue;
        rows.push(await window(bench, one, loader, scenario, round));
        if (one.process?.hasEnded() === true) {
          faults.set(one.name, 'it ended while measured');
          outcome.rows.delete(one.name);
        }
      }
    }
  } finally {
    for (const loader of loaders.values()) await loader.end();
  }
  for (const [name, fault] of faults) bench.say(`  ${name}: not measured: ${fault}`);
  return outcome;
}

async function window(bench: Bench, one: Contestant, loader: Loader, scenario: Scenario, round: number): Promise<Row> {
  const { pid } = one.process ?? loader;
  const core = bench.cores.proxy ?? 0;
  if (scenario.measure !== 'handshakes') await loader.ask(`connect ${scenario.status}`);
  const before = { cost: processCost(pid), busy: coreBusyUs(core), at: performance.now() };
  const editing = scenario.isEdited ? setInterval(() => edit(one.launch), EDIT_MS) : null;
  const result = await loader.ask(command(scenario, bench.options.seconds * scenario.share));
  if (editing !== null) clearInterval(editing);
  const after = { cost: processCost(pid), busy: coreBusyUs(core), at: performance.now() };
  const user = after.cost.userUs - before.cost.userUs;
  const system = after.cost.systemUs - before.cost.systemUs;
  const waited = after.cost.waitedUs - before.cost.waitedUs;
  const elapsed = (after.at - before.at) * 1000;
  const row: Row = {
    round,
    cpu: (user + system) / result.requests,
    userUs: user / result.requests,
    systemUs: system / result.requests,
    perSecond: result.requests / result.seconds,
    requests: result.requests,
    bad: result.bad + result.hung,
    badStatus: result.badStatus,
    reopened: result.reopened,
    waited: waited / (waited + user + system || 1),
    foreign: Math.max(0, after.busy - before.busy - user - system) / elapsed,
    pressure: cpuPressure(),
    rssMb: processMemory(pid).rssKb / 1024,
    p50: result.p50 ?? Number.NaN,
    p99: result.p99 ?? Number.NaN,
  };
  if (one.launch !== null && existsSync(one.launch.accessLog) && statSync(one.launch.accessLog).size > LOG_BYTES) {
    truncateSync(one.launch.accessLog);
  }
  return row;
}

function edit(launch: Launch | null): void {
  if (launch?.policyFile !== undefined) appendFileSync(launch.policyFile, `# edited at ${performance.now()}\n`);
}

async function openWindow(loader: Loader, scenario: Scenario, seconds: number): ReturnType<Loader['ask']> {
  if (scenario.measure !== 'handshakes') await loader.ask(`connect ${scenario.status}`);
  return await loader.ask(command(scenario, seconds));
}

function command(scenario: Scenario, seconds: number): string {
  if (scenario.measure === 'rate') return `rate ${RATE} ${seconds} ${scenario.status}`;
  return `${scenario.measure === 'handshakes' ? 'handshakes' : 'closed'} ${seconds} ${scenario.status}`;
}

function inspectLog(one: Contestant, outcome: Outcome): void {
  if (one.launch === null || !outcome.rows.has(one.name)) return;
  try {
    checkAccessLog(one.launch.accessLog);
  } catch (error) {
    outcome.faults.set(one.name, describe(error));
    outcome.rows.delete(one.name);
  }
}

/** Each entrant alone and fresh in each round, which are half as many: memory that traffic has grown does not shrink again. */
async function measureMemory(bench: Bench, job: Job, entrants: readonly Entrant[], scenario: Scenario): Promise<Outcome> {
  bench.say(`${scenario.name}: ${scenario.what}`);
  const outcome: Outcome = { scenario, rows: new Map(), memory: new Map(), faults: new Map() };
  for (let round = 0; round < Math.ceil(bench.options.rounds / 2); round++) {
    for (const entrant of entrants) {
      const name = entrantName(entrant);
      if (outcome.faults.has(name)) continue;
      try {
        const row = await memoryOf(bench, job, entrant, scenario, round);
        outcome.memory.set(name, [...(outcome.memory.get(name) ?? []), row]);
      } catch (error) {
        outcome.faults.set(name, describe(error));
        bench.say(`  ${name}: not measured: ${describe(error)}`);
      }
    }
  }
  return outcome;
}

async function memoryOf(bench: Bench, job: Job, entrant: Entrant, scenario: Scenario, round: number): Promise<MemoryRow> {
  const one = await enter(bench, job, entrant);
  const { pid, startMs } = one.process ?? fail();
  const [first, rest] = [FIRST_CONNECTIONS, scenario.connections].map((connections) =>
    startLoader(bench.programs, loadOf(bench, job, scenario, one.port, connections), bench.certificates, bench.cores.load),
  );
  if (first === undefined || rest === undefined) fail();
  try {
    await untilAlone(pid, bench.targets.get(entrant.target)?.hasPassingHelpers === true);
    await sleep(bench.options.settleMs);
    const idle = processMemory(pid);
    await first.ask(`connect ${scenario.status}`);
    await sleep(bench.options.settleMs);
    const used = processMemory(pid);
    const { open } = await rest.ask(`connect ${scenario.status}`);
    await sleep(bench.options.settleMs);
    const loaded = processMemory(pid);
    await first.end();
    await rest.end();
    await sleep(bench.options.settleMs);
    return {
      round,
      startMs,
      startCpuMs: one.startCpuMs,
      startOwnCpuMs: one.startOwnCpuMs,
      idleRssMb: idle.rssKb / 1024,
      idleAnonymousMb: idle.anonymousKb / 1024,
      usedRssMb: used.rssKb / 1024,
      loadedRssMb: loaded.rssKb / 1024,
      connectionKb: (loaded.rssKb - used.rssKb) / Math.max(1, open),
      closedRssMb: processMemory(pid).rssKb / 1024,
      connections: open,
    };
  } finally {
    await first.end();
    await rest.end();
    await one.process?.stop();
  }
}

/** Waits until a helper that only prepares the start has ended. */
async function untilAlone(pid: number, hasPassingHelpers: boolean): Promise<void> {
  const until = performance.now() + HELPERS_END_MS;
  while (hasPassingHelpers && processTree(pid).length > 1 && performance.now() < until) await sleep(100);
}

function loadOf(bench: Bench, job: Job, scenario: Scenario, port: number, connections: number): Load {
  return { job, port, connections, streams: scenario.streams, requests: `${bench.folder}/${scenario.requests}.requests` };
}

function describe(error: unknown): string {
  const hint =
    error instanceof Error && 'hint' in error && typeof error.hint === 'string' ? ` (${error.hint.slice(0, 300)})` : '';
  return `${error instanceof Error ? error.message : String(error)}${hint}`.replaceAll('\n', ' ');
}

function fail(): never {
  throw new Error('a setup names what it does not have');
}

/** Requests per second of the latency windows. */
const RATE = 500;
/** Buffered logs have been written by then, at the load of a warm-up. */
const LOG_FLUSH_MS = 250;
const EDIT_MS = 500;
const LOG_BYTES = 100 * 2 ** 20;
const FIRST_CONNECTIONS = 100;
const HELPERS_END_MS = 20_000;
