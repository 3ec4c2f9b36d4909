/**
 * The mesh of the demo: one folder, four apps, a sidecar beside each, and a load process; all of them processes of their own.
 * Started here, ended here, and nothing of it stays.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { PosternError } from '#base/error.ts';
import type { IssuedSvid } from '#certs/authority/authority.ts';

import { freePorts } from './free-ports.ts';
import { Identities, replaceFile } from './identities.ts';
import { Load } from './load/load.ts';
import { LOAD, POSTERN, appFile, requirePrograms } from './places.ts';
import { policyFor } from './policies.ts';
import { Processes } from './processes.ts';
import type { DemoProcess } from './processes.ts';
import { proxyFile } from './proxy-file.ts';
import { filesOf, layOut, portCount, programsOf, spiffeIdOf } from './topology.ts';
import type { Topology, Workload, WorkloadName } from './topology.ts';

export class Mesh {
  /** Mode 0700; holds everything that the run writes. */
  readonly folder = mkdtempSync(join(tmpdir(), 'postern-demo-'));
  readonly processes = new Processes(this.folder);
  readonly identities = new Identities();
  /** The SVID that was placed last, by workload. */
  readonly svids = new Map<WorkloadName, IssuedSvid>();
  readonly workloads: Topology;
  readonly #sidecars = new Map<WorkloadName, DemoProcess>();
  readonly #apps = new Map<WorkloadName, DemoProcess>();

  private constructor(ports: readonly number[]) {
    this.workloads = layOut(this.folder, ports);
  }

  /** A mesh with its folder written; nothing runs yet. */
  static async make(): Promise<Mesh> {
    requirePrograms();
    const mesh = new Mesh(await freePorts(portCount()));
    for (const workload of mesh.all) mesh.#write(workload);
    return mesh;
  }

  get all(): readonly Workload[] {
    return Object.values(this.workloads);
  }

  startApps(): void {
    for (const workload of this.all) {
      const { name, folder, outbound } = workload;
      const portTo = (to: WorkloadName): string => String(outbound.find((each) => each.to === to)?.port ?? '');
      for (const { program, port } of programsOf(workload)) {
        const env = { PORT: String(port), ORDERS: portTo('orders'), LEDGER: portTo('ledger'), CLAIM: spiffeIdOf('web') };
        const app = this.#start(`app ${program}`, folder, [appFile(program)], `${program}.log`, env);
        if (program === name) this.#apps.set(name, app);
      }
    }
  }

  startSidecars(): void {
    for (const workload of this.all) {
      const { name, folder } = workload;
      const args = [POSTERN, 'proxy', '-c', filesOf(workload).config];
      this.#sidecars.set(name, this.#start(`sidecar ${name}`, folder, args, 'sidecar.log'));
    }
  }

  startLoad(): Load {
    const { child } = this.processes.start({
      name: 'load',
      args: [LOAD],
      cwd: this.folder,
      output: join(this.folder, 'load.log'),
      hasIpc: true,
    });
    return new Load(child);
  }

  sidecar(name: WorkloadName): DemoProcess {
    return running(this.#sidecars, name);
  }

  app(name: WorkloadName): DemoProcess {
    return running(this.#apps, name);
  }

  /** Waits until something listens there, and as long as its process lives. */
  async listens(port: number, by: DemoProcess, timeoutMs = 30_000): Promise<void> {
    await this.#until(() => isOpen(port), by, timeoutMs);
  }

  /** Waits until the address answers 200, and as long as its process lives. */
  async answers(port: number, path: string, by: DemoProcess, timeoutMs = 30_000): Promise<void> {
    await this.#until(async () => (await statusOf(port, path)) === 200, by, timeoutMs);
  }

  async #until(isSo: () => Promise<boolean>, by: DemoProcess, timeoutMs: number): Promise<void> {
    const until = performance.now() + timeoutMs;
    while (!(await isSo())) {
      const hasEnded = by.child.exitCode !== null || by.child.signalCode !== null;
      if (!hasEnded && performance.now() < until) await sleep(25);
      else {
        const found = hasEnded ? 'it has ended' : `no answer within ${timeoutMs} ms`;
        throw new PosternError('demo_start', `Cannot start "${by.name}": ${found}\n${by.tail()}`);
      }
    }
  }

  /** Gives a workload a new SVID. */
  rotate(workload: Workload): IssuedSvid {
    const svid = this.identities.place(workload);
    this.svids.set(workload.name, svid);
    return svid;
  }

  /** Renews the SVIDs as long as this process lives. */
  keepFresh(): void {
    setInterval(() => {
      for (const workload of this.all) this.rotate(workload);
    }, ROTATION_MS).unref();
  }

  /** Ends every process and removes the folder. Returns what is left of either; wanted is nothing. */
  async stop(): Promise<string[]> {
    const alive = await this.processes.stop();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
    await this.processes.dismissGuard();
    return [...alive.map((pid) => `process ${pid}`), ...(existsSync(this.folder) ? [this.folder] : [])];
  }

  #write(workload: Workload): void {
    const { config, policy, bundle } = filesOf(workload);
    mkdirSync(dirname(policy), { recursive: true, mode: 0o700 });
    writeFileSync(bundle, this.identities.root.bundlePem);
    writeFileSync(config, proxyFile(workload, this.workloads));
    replaceFile(policy, policyFor(workload.name));
    this.rotate(workload);
  }

  #start(name: string, folder: string, args: string[], log: string, env?: Record<string, string>): DemoProcess {
    return this.processes.start({ name, args, cwd: folder, output: join(folder, log), ...(env === undefined ? {} : { env }) });
  }
}

function running(processes: ReadonlyMap<WorkloadName, DemoProcess>, name: WorkloadName): DemoProcess {
  const found = processes.get(name);
  if (found === undefined) throw new RangeError(`${name} was not started`);
  return found;
}

function statusOf(port: number, path: string): Promise<number> {
  return new Promise((resolve) => {
    get({ host: '127.0.0.1', port, path, agent: false, timeout: 2_000 }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('timeout', () => resolve(0))
      .on('error', () => resolve(0));
  });
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** A third of an SVID's life. */
const ROTATION_MS = 20 * 60_000;
