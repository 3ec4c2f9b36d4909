/**
 * A real `postern proxy -c FILE` for a test: the folder with its configuration, identity and policies, the process, and what can be
 * asked of it from outside. Ends with the test.
 */
import { request } from 'node:http';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { IssuedSvid } from '#certs/authority/authority.ts';

import { freePort } from './free-port.ts';
import type { MeshIdentities } from './mesh-identities.ts';
import { startProcess, type TestProcess } from './processes.ts';

export interface SidecarOptions {
  readonly mesh: MeshIdentities;
  /** Whose SVID it gets, `app` by default; null starts it without identity files. */
  readonly account?: string | null;
  /** Bundles beside that of `mesh`. */
  readonly otherBundles?: readonly MeshIdentities[];
  /** `listen` is added where it is missing. */
  readonly inbound?: readonly Settings[];
  readonly outbound?: readonly Settings[];
  /** Policy files by name; null allows everything, which is also the default. An empty record is an empty folder. */
  readonly policies?: Readonly<Record<string, string>> | null;
  readonly policySettings?: Settings;
  /** More of `spec.identity.files`. */
  readonly identityFiles?: Settings;
  /** Puts more into the folder. */
  readonly beforeStart?: (folder: string) => void;
  /** More of `spec`. */
  readonly spec?: Settings;
  readonly limits?: Settings;
  readonly timeouts?: Settings;
  readonly trustedForwarders?: readonly string[];
  /** Data processes. */
  readonly concurrency?: number;
  readonly accessLog?: string | null;
  /** What is started in place of the checkout's `bin/postern.js`. */
  readonly launcher?: string;
  /** False when it is not expected to become ready. */
  readonly awaitsReady?: boolean;
}

export type Settings = Readonly<Record<string, unknown>>;
/** One line of the access log. */
export type LogLine = Readonly<Record<string, unknown>>;

export class Sidecar implements AsyncDisposable {
  readonly folder: string;
  readonly inbound: readonly number[];
  readonly outbound: readonly number[];
  readonly statusPort: number;
  readonly process: TestProcess;

  constructor(
    folder: string,
    ports: { inbound: readonly number[]; outbound: readonly number[]; status: number },
    launcher = LAUNCHER,
  ) {
    this.folder = folder;
    this.inbound = ports.inbound;
    this.outbound = ports.outbound;
    this.statusPort = ports.status;
    this.process = startProcess(process.execPath, [launcher, 'proxy', '-c', join(folder, 'proxy.yaml')]);
  }

  get inboundPort(): number {
    return this.inbound[0] ?? 0;
  }

  get outboundPort(): number {
    return this.outbound[0] ?? 0;
  }

  /** Waits until the readiness probe says so. */
  async ready(timeoutMs = 45_000): Promise<void> {
    await this.statusOpen(timeoutMs);
    await eventually(
      `readiness: ${this.process.stderr.slice(-2000)}`,
      async () => (await this.status('/healthz/ready')).code === 200,
      timeoutMs,
    );
  }

  async statusOpen(timeoutMs = 45_000): Promise<void> {
    await this.process.waitForPort(this.statusPort, timeoutMs);
  }

  status(path: string): Promise<{ code: number; body: string }> {
    return ask({ host: '127.0.0.1', port: this.statusPort, path });
  }

  async admin(path: string): Promise<unknown> {
    const { code, body } = await ask({ socketPath: join(this.folder, 'admin.sock'), path });
    if (code !== 200) throw new Error(`Cannot ask "${path}" of the admin socket: ${code} ${body}`);
    return JSON.parse(body);
  }

  /** One answer of the admin interface as a record. */
  async adminRecord(path: string): Promise<Settings> {
    return (await this.admin(path)) as Settings; // the answers asked for this way are JSON objects
  }

  /** The sum of a metric's samples whose labels contain `labels`. */
  async metric(name: string, labels = ''): Promise<number> {
    const { body } = await this.status('/metrics');
    const rows = body.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return rows
      .filter((line) => line.includes(labels))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /** Lines of the access log so far; a line that is not JSON throws. */
  log(): readonly LogLine[] {
    const text = readFileSync(join(this.folder, 'access.log'), 'utf8');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LogLine); // the log's format is objects; a test that looks at a key sees whether it is there
  }

  /** Waits for a line of the access log. */
  async logged(matches: (line: LogLine) => boolean, timeoutMs = 5_000): Promise<LogLine> {
    let found: LogLine | undefined;
    await eventually('a line of the access log', () => (found = this.log().find(matches)) !== undefined, timeoutMs);
    return found ?? {};
  }

  /** Resident memory of the data process. */
  get residentBytes(): number {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.process.pid}/status`, 'latin1'))?.[1] ?? '0';
    return Number(kib) * 1024;
  }

  /** Replaces a file of its folder in one step. */
  put(name: string, text: string): void {
    const path = join(this.folder, name);
    writeFileSync(`${path}.next`, text, { mode: 0o600 });
    renameSync(`${path}.next`, path);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  putSvid(svid: IssuedSvid): void {
    this.put('server.key', svid.keyPem);
    this.put('server.pem', svid.certificatePem);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.end('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Writes the folder, starts the process and waits until it is ready. */
export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const { mesh, account = 'app', policies = null } = options;
  const folder = mkdtempSync(join(tmpdir(), 'sidecar-'));
  const inbound = await withPorts(options.inbound ?? []);
  const outbound = await withPorts(options.outbound ?? []);
  const status = await freePort();
  const bundles = [mesh, ...(options.otherBundles ?? [])];
  for (const each of bundles) writeFileSync(join(folder, `${each.trustDomain}.pem`), each.bundlePem);
  if (account !== null) {
    const { certificatePem, keyPem } = mesh.svid(account);
    writeFileSync(join(folder, 'server.pem'), certificatePem);
    writeFileSync(join(folder, 'server.key'), keyPem, { mode: 0o600 });
  }
  mkdirSync(join(folder, 'policies'));
  for (const [name, text] of Object.entries(policies ?? {})) writeFileSync(join(folder, 'policies', name), text);
  const accessLog = options.accessLog === undefined ? 'access.log' : options.accessLog;
  const document = {
    apiVersion: 'postern.mesh/v1alpha1',
    kind: 'Proxy',
    metadata: { name: 'app', namespace: 'test', labels: { app: 'app' } },
    spec: {
      mode: 'standalone',
      identity: {
        trustDomain: mesh.trustDomain,
        files: {
          certificate: 'server.pem',
          key: 'server.key',
          bundles: Object.fromEntries(bundles.map(({ trustDomain }) => [trustDomain, `${trustDomain}.pem`])),
          ...options.identityFiles,
        },
      },
      ...options.spec,
      ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
      inbound: inbound.listeners,
      outbound: outbound.listeners,
      policies: { ...(policies === null ? { allowAll: true } : { files: ['policies/'] }), ...options.policySettings },
      trustedForwarders: options.trustedForwarders ?? [],
      limits: options.limits ?? {},
      timeouts: options.timeouts ?? {},
      telemetry: {
        accessLog: accessLog === null ? null : { format: 'json', file: accessLog },
        status: `127.0.0.1:${status}`,
        admin: 'admin.sock',
      },
    },
  };
  // JSON is YAML.
  writeFileSync(join(folder, 'proxy.yaml'), JSON.stringify(document, null, 2));
  options.beforeStart?.(folder);
  const sidecar = new Sidecar(folder, { inbound: inbound.ports, outbound: outbound.ports, status }, options.launcher);
  try {
    if (options.awaitsReady === false) await sidecar.statusOpen();
    else await sidecar.ready();
  } catch (error) {
    await sidecar[Symbol.asyncDispose]();
    throw error;
  }
  return sidecar;
}

/** An AuthorizationPolicy of the test's namespace from its `spec`. */
export function policyYaml(name: string, spec: Settings): string {
  const document = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'test' },
    spec,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** Polls until true. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 5_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Cannot wait any longer than ${timeoutMs} ms for ${what}`);
    await sleep(15);
  }
}

/** Whether the long, recorded runs are asked for. */
export const IS_FULL = process.env['POSTERN_FULL'] === '1';

/** Tells a figure in the run's output. */
export function figure(text: string): void {
  console.log(`figure: ${text}`);
}

function ask(options: {
  host?: string;
  port?: number;
  socketPath?: string;
  path: string;
}): Promise<{ code: number; body: string }> {
  const { promise, resolve: settle, reject } = Promise.withResolvers<{ code: number; body: string }>();
  const asked = request({ ...options, agent: false, timeout: 5_000 }, (response) => {
    let body = '';
    response.setEncoding('utf8').on('data', (text: string) => (body += text));
    response.on('end', () => settle({ code: response.statusCode ?? 0, body }));
  });
  asked.on('timeout', () => asked.destroy(new Error(`no answer to ${options.path}`)));
  asked.on('error', reject);
  asked.end();
  return promise;
}

async function withPorts(listeners: readonly Settings[]): Promise<{ listeners: Settings[]; ports: number[] }> {
  const ports: number[] = [];
  const complete: Settings[] = [];
  for (const listener of listeners) {
    const port = 'listen' in listener ? 0 : await freePort();
    ports.push(port);
    complete.push(port === 0 ? listener : { listen: `127.0.0.1:${port}`, ...listener });
  }
  return { listeners: complete, ports };
}

const LAUNCHER = resolve(import.meta.dirname, '../../bin/postern.js');
