/**
 * Drives the load generators of bench/load: compiles them once per run, starts one process per entrant and scenario, gives it commands and reads
 * its answers.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PosternError } from '#base/error.ts';
import type { Certificates } from '../certificates.ts';
import type { Job } from '../targets/target.ts';
import { adopt, findProgram, pinned } from '../processes.ts';

/** What a window gave; `p50` and the like in microseconds, of fixed-rate windows only. */
export interface LoadResult {
  readonly requests: number;
  readonly bad: number;
  /** The first status that was not the wanted one; negative for what was no response at all. */
  readonly badStatus: number;
  readonly hung: number;
  /** Connections that the proxy closed within the window. */
  readonly reopened: number;
  readonly open: number;
  readonly seconds: number;
  readonly p50?: number;
  readonly p90?: number;
  readonly p99?: number;
  readonly max?: number;
}

export interface Loader {
  readonly pid: number;
  ask(command: string): Promise<LoadResult>;
  end(): Promise<void>;
}

/** The programs of bench/load, compiled. */
export interface Programs {
  readonly http1: string;
  readonly http2: string;
  readonly grpcApp: string;
}

export interface Load {
  readonly job: Job;
  readonly port: number;
  readonly connections: number;
  /** Requests that a connection carries at a time; HTTP/2 only. */
  readonly streams: number;
  readonly requests: string;
}

export function compilePrograms(folder: string): Programs {
  if (findProgram('cc') === null)
    throw new PosternError('bench_no_compiler', 'Cannot compile "bench/load": there is no cc', 'install gcc and libssl-dev');
  return {
    http1: compile(folder, 'load'),
    http2: compile(folder, 'load-h2'),
    grpcApp: compile(folder, 'grpc-app'),
  };
}

/** `certificates` null: plaintext. */
export function startLoader(programs: Programs, load: Load, certificates: Certificates | null, core: number | null): Loader {
  const identities = certificates === null ? [] : [certificates.identityList, certificates.bundle];
  const isHttp2 = load.job === 'http2' || load.job === 'grpc';
  const arguments_ = isHttp2
    ? [programs.http2, String(load.port), String(load.connections), String(load.streams), load.requests, ...identities]
    : [programs.http1, String(load.port), String(load.connections), load.requests, ...identities];
  // What a proxy passes through has no protocol of its own.
  if (load.job === 'tcp') arguments_.push('');
  const command = pinned(arguments_, core);
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  adopt(child);
  const waiting: { resolve: (line: LoadResult) => void; reject: (error: Error) => void }[] = [];
  const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  void exited.then(() => {
    for (const one of waiting.splice(0))
      one.reject(new PosternError('bench_load_ended', 'Cannot measure: the load generator ended'));
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    // Our own program's output, whose shape is written down beside `report` in load.c.
    waiting.shift()?.resolve(JSON.parse(line) as LoadResult);
  });
  return {
    pid: child.pid ?? 0,
    ask: (line) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        child.stdin.write(`${line}\n`);
      }),
    end: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

function compile(folder: string, name: string): string {
  const program = `${folder}/${name}`;
  const source = fileURLToPath(new URL(`${name}.c`, import.meta.url));
  try {
    execFileSync('cc', ['-O2', '-o', program, source, '-lssl', '-lcrypto'], { stdio: ['ignore', 'pipe', 'pipe'] });
  } catch {
    throw new PosternError('bench_no_compiler', `Cannot compile "bench/load/${name}.c": cc refused it`, 'install libssl-dev');
  }
  return program;
}
