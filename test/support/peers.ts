/**
 * Finds the real programs that tests talk to: in `bin/` of `POSTERN_PEERS_DIR`, in `.peers/bin` of the checkout, then on PATH.
 * It never installs one.
 *
 *     test.skipIf(peer('envoy') === null)('agrees with Envoy', ...)
 */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

import { missing } from './missing.ts';

/** Absolute path of a peer's program, or null. With `POSTERN_PEERS=required` a missing one throws. */
export function peer(name: string): string | null {
  return found(name) ?? missing(`peer ${name}`, HINT);
}

/** One that takes long to build: only `POSTERN_PEERS=all` asks for it. */
export function rarePeer(name: string): string | null {
  return found(name) ?? missing(`peer ${name}`, HINT, true);
}

/** The same for code that runs only after `peer(name)` was found. */
export function requirePeer(name: string): string {
  const file = peer(name);
  if (file === null) throw new Error(`Cannot find the peer "${name}": looked in ${folders().join(', ')}`);
  return file;
}

function found(name: string): string | null {
  for (const folder of folders()) {
    const file = join(folder, name);
    if (isExecutable(file)) return file;
  }
  return null;
}

function folders(): readonly string[] {
  const peersDir = process.env['POSTERN_PEERS_DIR'];
  const own = peersDir === undefined || peersDir === '' ? join(ROOT, '.peers') : peersDir;
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  // Debian keeps servers in sbin, which the PATH of an ordinary user leaves out.
  return [join(own, 'bin'), ...path, '/usr/sbin', '/usr/local/sbin'];
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

const HINT = 'put it on PATH or in bin/ of POSTERN_PEERS_DIR';
const ROOT = resolve(import.meta.dirname, '../..');
