/** A real PostgreSQL for a test: a new cluster in a folder of its own, on a port of loopback, run by a user who is not root. */
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { IssuedSvid } from '#certs/authority/authority.ts';

import { freePort } from './free-port.ts';
import { missing } from './missing.ts';
import { runProcess, startProcess, type TestProcess } from './processes.ts';

/** The folder of the server's programs, which Debian leaves out of PATH; null without them. */
export function postgresPrograms(): string | null {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).toSorted((a, b) => Number(b) - Number(a)) : [];
  const folders = [process.env['POSTERN_POSTGRES'] ?? '', ...versions.map((version) => join(DEBIAN, version, 'bin'))];
  return (
    folders.find((folder) => existsSync(join(folder, 'initdb'))) ?? missing('peer postgres', 'install the server of PostgreSQL')
  );
}

export class Postgres implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #process: TestProcess;

  constructor(port: number, folder: string, running: TestProcess) {
    this.port = port;
    this.#folder = folder;
    this.#process = running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // An immediate stop: nothing of it is kept.
    await this.#process.end('SIGQUIT');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** @param tls  its own certificate, of which no mesh knows; null is without TLS */
export async function startPostgres(tls: IssuedSvid | null): Promise<Postgres> {
  const programs = postgresPrograms() ?? '';
  const folder = mkdtempSync(join(tmpdir(), 'postgres-'));
  const port = await freePort();
  // It refuses to run as root.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(folder, NOBODY, NOBODY);
  const as = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : ['env'];
  const [command = '', ...first] = as;
  const data = join(folder, 'data');
  const made = await runProcess(
    command,
    [...first, join(programs, 'initdb'), '-D', data, '-U', 'tester', '-A', 'trust', '-N', '--no-locale'],
    {
      timeoutMs: 60_000,
    },
  );
  if (made.code !== 0) throw new Error(`Cannot make a cluster of PostgreSQL: ${made.stderr}`);
  const settings = [
    '-c',
    'listen_addresses=127.0.0.1',
    '-c',
    `port=${port}`,
    '-c',
    `unix_socket_directories=${folder}`,
    '-c',
    'fsync=off',
  ];
  if (tls !== null) {
    const files = { certificate: join(folder, 'server.pem'), key: join(folder, 'server.key') };
    writeFileSync(files.certificate, tls.certificatePem);
    writeFileSync(files.key, tls.keyPem);
    chmodSync(files.key, 0o600);
    if (isRoot) for (const file of Object.values(files)) chownSync(file, NOBODY, NOBODY);
    settings.push('-c', 'ssl=on', '-c', `ssl_cert_file=${files.certificate}`, '-c', `ssl_key_file=${files.key}`);
  }
  const running = startProcess(command, [...first, join(programs, 'postgres'), '-D', data, ...settings]);
  await running.waitForLine('ready to accept connections', 30_000);
  return new Postgres(port, folder, running);
}

const DEBIAN = '/usr/lib/postgresql';
const NOBODY = 65_534;
