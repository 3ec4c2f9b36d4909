/**
 * Child processes of a test: started, awaited by what they print or by the port they open, and ended by pid. Whatever a test
 * file leaves running is ended after its last test, and killed at the latest when the test process goes.
 *
 *     await using child = startProcess(process.execPath, ['bin/postern.js', 'proxy', '-c', file]);
 *     await child.waitForLine('ready');
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessOptions {
  readonly cwd?: string;
  /** Added to the environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Written to standard input, which is then closed. Without it standard input is empty. */
  readonly input?: string | Uint8Array;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class TestProcess implements AsyncDisposable {
  readonly pid: number;
  /** Settles when the process has ended and its output is complete; never rejects. */
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #watchers = new Set<() => void>();
  #stdout = '';
  #stderr = '';
  #exit: ProcessExit | null = null;

  constructor(child: ChildProcess, name: string) {
    this.#child = child;
    this.#name = name;
    this.pid = child.pid ?? -1;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = keepTail(this.#stdout + text);
      this.#wake();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = keepTail(this.#stderr + text);
      this.#wake();
    });
    this.exited = new Promise((settle) => {
      child.once('error', (error) => {
        this.#stderr += `${error.message}\n`;
        settle(this.#ended(null, null));
      });
      child.once('close', (code, signal) => settle(this.#ended(code, signal)));
    });
  }

  /** What it printed so far, the last MiB of it. */
  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get isRunning(): boolean {
    return this.#exit === null;
  }

  /** The first line of either output that holds the text or matches; looks at what was printed before, too. */
  async waitForLine(wanted: string | RegExp, timeoutMs = 10_000): Promise<string> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const line = findLine(this.#stdout, wanted) ?? findLine(this.#stderr, wanted);
      if (line !== null) return line;
      if (this.#exit !== null) throw new Error(`Cannot wait for ${String(wanted)} of ${this.#name}: it ended\n${this.#output()}`);
      const leftMs = deadline - performance.now();
      if (leftMs <= 0)
        throw new Error(`Cannot wait for ${String(wanted)} of ${this.#name}: not seen in ${timeoutMs} ms\n${this.#output()}`);
      await this.#change(leftMs);
    }
  }

  /** Waits until a TCP port on loopback accepts. */
  async waitForPort(port: number, timeoutMs = 10_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await accepts(port))) {
      if (this.#exit !== null) throw new Error(`Cannot wait for port ${port} of ${this.#name}: it ended\n${this.#output()}`);
      if (performance.now() > deadline) {
        throw new Error(`Cannot wait for port ${port} of ${this.#name}: not open in ${timeoutMs} ms\n${this.#output()}`);
      }
      await sleep(20);
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#exit === null) this.#child.kill(signal);
  }

  /** Asks it to end, kills it after the grace, and waits for the end. */
  async end(signal: NodeJS.Signals = 'SIGTERM', graceMs = 5_000): Promise<ProcessExit> {
    this.signal(signal);
    // A stopped process gets no SIGTERM before it is continued.
    if (signal !== 'SIGKILL') this.signal('SIGCONT');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): ProcessExit {
    this.#exit ??= { code, signal, stdout: this.#stdout, stderr: this.#stderr };
    live.delete(this);
    this.#wake();
    return this.#exit;
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((settle) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(done);
        settle();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#watchers.add(done);
    });
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #output(): string {
    return `stdout: ${this.#stdout.slice(-4096)}\nstderr: ${this.#stderr.slice(-4096)}`;
  }
}

/** Starts a program; no shell is between. */
export function startProcess(command: string, args: readonly string[], options: ProcessOptions = {}): TestProcess {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  const started = new TestProcess(child, command);
  live.add(started);
  // A child that ends before it has read everything is the test's business, not an uncaught EPIPE.
  child.stdin?.on('error', () => {});
  if (options.input !== undefined) child.stdin?.end(options.input);
  return started;
}

/** Runs a program to its end. */
export async function runProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions & { readonly timeoutMs?: number } = {},
): Promise<ProcessExit> {
  const child = startProcess(command, args, options);
  const timer = setTimeout(() => child.signal('SIGKILL'), options.timeoutMs ?? 20_000);
  const exit = await child.exited;
  clearTimeout(timer);
  return exit;
}

/** Ends every process that is still running; the set-up file calls it after each test file. */
export async function endAllProcesses(): Promise<void> {
  await Promise.all([...live].map((child) => child.end()));
}

function accepts(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      settle(true);
    });
    socket.once('error', () => settle(false));
  });
}

function findLine(text: string, wanted: string | RegExp): string | null {
  const matches = (line: string): boolean => (typeof wanted === 'string' ? line.includes(wanted) : wanted.test(line));
  return text.split('\n').find(matches) ?? null;
}

function keepTail(text: string): string {
  return text.length > KEPT ? text.slice(-KEPT) : text;
}

/** Characters of output kept per stream. */
const KEPT = 1024 * 1024;

const live = new Set<TestProcess>();

process.on('exit', () => {
  for (const child of live) child.signal('SIGKILL');
});
