/**
 * `npm run bench [-- --quick]`: Postern beside nginx, HAProxy and Envoy doing the same work in one run. Method, bias and how to
 * read the table: bench/README.md. Traffic stays on loopback; every process and file that it makes is gone afterwards, but for
 * the report in bench/out.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PosternError } from '#base/error.ts';
import { makeCertificates } from './certificates.ts';
import { compilePrograms } from './load/loader.ts';
import { chooseCores, machineLine } from './machine.ts';
import { type Bench, measureSetup, type Outcome } from './measure.ts';
import { freePorts, stopEverything } from './processes.ts';
import { barResults, barTable, noiseLine, scenarioTable } from './report.ts';
import { REQUEST_KINDS, writeRequests } from './requests.ts';
import { type Scenario, SETUPS } from './scenarios.ts';
import { envoy } from './targets/envoy.ts';
import { haproxy } from './targets/haproxy.ts';
import { nginx } from './targets/nginx.ts';
import { postern } from './targets/postern.ts';
import type { Target } from './targets/target.ts';
import { startGrpcApp, startUpstream } from './upstream.ts';

interface Arguments {
  readonly quick: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly targets: readonly string[];
  readonly scenarios: readonly Scenario[];
  readonly weight: number;
  readonly nodeOptions: string;
  readonly out: string;
  readonly keep: boolean;
}

async function main(): Promise<void> {
  const args = readArguments(process.argv.slice(2));
  if (args === null) return;
  if (process.env[IN_OWN_GROUP] === undefined && args.weight !== 0) return runInOwnGroup(args.weight);

  const folder = mkdtempSync(`${tmpdir()}/postern-bench-`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => void stopEverything().then(() => leave(folder, args.keep, 130)));
  }
  try {
    await runAll(args, folder);
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    console.error(`${error.message}${error.hint === null ? '' : `\n${error.hint}`}`);
    process.exitCode = 1;
  } finally {
    await stopEverything();
  }
  leave(folder, args.keep, process.exitCode ?? 0);
}

async function runAll(args: Arguments, folder: string): Promise<void> {
  const begun = performance.now();
  const cores = chooseCores();
  const programs = compilePrograms(folder);
  for (const kind of REQUEST_KINDS) writeRequests(`${folder}/${kind}.requests`, kind);
  const certificates = makeCertificates(folder);
  const [upstreamPort = 0, grpcPort = 0] = await freePorts(2);
  await startUpstream(folder, upstreamPort, cores.load);
  await startGrpcApp(programs.grpcApp, folder, grpcPort, cores.load);

  const when = new Date().toISOString();
  const machine = machineLine();
  const command = `npm run bench -- ${process.argv.slice(2).join(' ')}`.trim().replace(/ --$/, '');
  print(`${when}, ${machine}`);
  print(
    `${command}: ${args.rounds} rounds of ${args.seconds} s; proxy on core ${cores.proxy ?? 'any'}, load and app on core ${cores.load ?? 'any'}`,
  );
  const targets = new Map<string, Target>();
  const versions: Record<string, string> = {};
  for (const target of TARGETS.filter((one) => args.targets.includes(one.name))) {
    const missing = target.missing();
    print(
      missing === null
        ? `- ${target.name} ${(versions[target.name] = target.version())}: ${target.about}`
        : `- ${target.name} skipped: ${missing}`,
    );
    if (missing !== null) continue;
    const built = `${folder}/${target.name}`;
    mkdirSync(built);
    target.setUp?.(built);
    targets.set(target.name, target);
  }

  const bench: Bench = {
    folder,
    certificates,
    programs,
    upstreamPort,
    grpcPort,
    cores,
    targets,
    options: {
      rounds: args.rounds,
      seconds: args.seconds,
      warmSeconds: args.quick ? 1.5 : 12,
      settleMs: args.quick ? 700 : 2000,
      nodeOptions: args.nodeOptions,
    },
    say: (line) => print(`\n${line}`),
  };
  const outcomes: Outcome[] = [];
  const save = (): void => {
    const scenarios = outcomes.map((one) => ({
      ...one.scenario,
      rows: Object.fromEntries(one.rows),
      memory: Object.fromEntries(one.memory),
      faults: Object.fromEntries(one.faults),
    }));
    writeFileSync(
      args.out,
      `${JSON.stringify({ when, machine, command, versions, rounds: args.rounds, seconds: args.seconds, bars: barResults(outcomes), scenarios }, null, 1)}\n`,
    );
  };
  for (const setup of SETUPS) {
    for (const outcome of await measureSetup(bench, setup, args.scenarios)) {
      outcomes.push(outcome);
      print(`\n${outcome.scenario.name}\n${scenarioTable(outcome)}`);
    }
    save();
  }
  print(`\n${barTable(barResults(outcomes))}\n\n${noiseLine(outcomes)}`);
  print(`took ${Math.round((performance.now() - begun) / 1000)} s; all rows in ${args.out}`);
}

function readArguments(argv: readonly string[]): Arguments | null {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      targets: { type: 'string' },
      scenarios: { type: 'string' },
      weight: { type: 'string', default: '-12' },
      'node-options': { type: 'string', default: '' },
      out: { type: 'string' },
      keep: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
    },
  });
  const all = SETUPS.flatMap((setup) => setup.scenarios);
  if (values.list) {
    for (const one of all) print(`${one.name.padEnd(20)} ${one.what}${one.isQuick ? '' : ' (not in --quick)'}`);
    return null;
  }
  const names = values.scenarios?.split(',');
  mkdirSync(OUT, { recursive: true });
  return {
    quick: values.quick,
    rounds: Number(values.rounds ?? (values.quick ? 2 : 5)),
    seconds: Number(values.seconds ?? (values.quick ? 2 : 3)),
    targets: values.targets?.split(',') ?? TARGETS.map((one) => one.name),
    scenarios: all.filter((one) => (names === undefined ? one.isQuick || !values.quick : names.includes(one.name))),
    weight: Number(values.weight),
    nodeOptions: values['node-options'],
    out: values.out ?? `${OUT}${new Date().toISOString().slice(0, 19).replaceAll(':', '')}${values.quick ? '-quick' : ''}.json`,
    keep: values.keep,
  };
}

/**
 * Runs itself again in a scheduler group of its own with more weight, so that neighbours on a shared machine disturb less; plain
 * nice has no effect between such groups. Where that is not allowed the run goes on without.
 */
async function runInOwnGroup(weight: number): Promise<void> {
  const script = 'echo "$0" 2>/dev/null > /proc/self/autogroup; exec "$@"';
  const child = spawn('setsid', ['-w', 'sh', '-c', script, String(weight), process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [IN_OWN_GROUP]: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise<number>((resolve) => {
    child.on('error', () => resolve(1));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function leave(folder: string, keep: boolean, code: number | string): never {
  if (keep) print(`kept ${folder}`);
  else if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const TARGETS: readonly Target[] = [postern, nginx, haproxy, envoy];
const IN_OWN_GROUP = 'POSTERN_BENCH_GROUP';
const OUT = fileURLToPath(new URL('out/', import.meta.url));

await main();
