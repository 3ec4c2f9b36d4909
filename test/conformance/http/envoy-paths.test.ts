/**
 * Random paths through a real Envoy and through the canonicaliser, in Istio's four modes: the same path, or refused by both, but for
 * the differences that are listed, all of which refuse or resolve more than Envoy does.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { CanonicalTarget, canonicaliseText } from '#proxy/http/canonicalise.ts';
import type { PathMode } from '#proxy/http/path.ts';
import { Random } from '#test/fuzz/h1-inputs.ts';

import { freePort } from '../../support/free-port.ts';
import { peer, requirePeer } from '../../support/peers.ts';
import { startProcess } from '../../support/processes.ts';
import type { TestProcess } from '../../support/processes.ts';

const MODES = {
  none: {},
  base: { normalize_path: true },
  'merge-slashes': { normalize_path: true, merge_slashes: true },
  'decode-and-merge': { normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD' },
} as const satisfies Partial<Record<PathMode, object>>;

type EnvoyMode = keyof typeof MODES;

const MODE_NAMES: readonly EnvoyMode[] = ['none', 'base', 'merge-slashes', 'decode-and-merge'];
const SEED = 20_260_102;
const PATHS = Number(process.env['POSTERN_ENVOY_PATHS'] ?? 400);

describe.skipIf(peer('envoy') === null)('paths in a real Envoy', () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Map<EnvoyMode, number>();
  let folder = '';
  let envoy: TestProcess | null = null;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'postern-envoy-'));
    for (const mode of MODE_NAMES) ports.set(mode, await freePort());
    const file = join(folder, 'envoy.json');
    writeFileSync(
      file,
      JSON.stringify({ static_resources: { listeners: MODE_NAMES.map((mode) => listener(mode, ports.get(mode) ?? 0)) } }),
    );
    envoy = startProcess(requirePeer('envoy'), ['-c', file, '--disable-hot-restart', '--concurrency', '1', '-l', 'error']);
    for (const port of ports.values()) await envoy.waitForPort(port);
  });

  afterAll(async () => {
    agent.destroy();
    await envoy?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(MODE_NAMES)(`agree in mode %s (seed ${SEED})`, async (mode) => {
    const random = new Random(SEED);
    const out = new CanonicalTarget();
    let agreed = 0;
    for (let count = 0; count < PATHS; count++) {
      const target = randomPath(random);
      const failure = canonicaliseText({ method: 'GET', target, hosts: ['a'], authority: null, scheme: 'http' }, mode, out);
      const ours = failure === null ? out.path + target.slice(out.queryStart, out.queryEnd) : null;
      if (isListedDifference(target, mode, ours)) continue;
      agreed++;
      expect({ target, path: await ask(agent, ports.get(mode) ?? 0, target) }).toEqual({ target, path: ours });
    }
    expect(agreed).toBeGreaterThan(PATHS / 4);
  });
});

/** Where the canonicaliser knowingly does more than Envoy 1.40. */
function isListedDifference(target: string, mode: EnvoyMode, ours: string | null): boolean {
  const path = target.split('?')[0] ?? '';
  // Escapes that are none are refused, and `%00` also where nothing is decoded.
  if (ours === null && (/%(?![0-9a-f]{2})/iu.test(path) || path.includes('%00'))) return true;
  if (mode === 'none') return false;
  // Envoy makes `//` of a path that is nothing but slashes when it merges them.
  if (mode !== 'base' && ours !== null && ours.split('?')[0] === '/') return true;
  // A dot segment is one too when its dots are escaped or a backslash ends its parameter; Envoy leaves it to the app to see that.
  return path.includes(';') && (/%2e/iu.test(path) || path.includes('\\') || /%5c|%2f/iu.test(path));
}

function randomPath(random: Random): string {
  let path = '/';
  for (let count = random.below(10); count > 0; count--) path += random.pick(PIECES);
  return random.below(4) === 0 ? `${path}?${random.pick(PIECES)}` : path;
}

function listener(mode: EnvoyMode, port: number): object {
  const route = {
    match: { prefix: '' },
    direct_response: { status: 200 },
    response_headers_to_add: [{ header: { key: 'x-path', value: '%REQ(:PATH)%' } }],
  };
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'paths',
    ...MODES[mode],
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
  };
  return {
    name: mode,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [{ filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] }],
  };
}

/** The path that Envoy would forward, null when it refuses. */
function ask(agent: Agent, port: number, path: string): Promise<string | null> {
  return new Promise((settle, fail) => {
    const call = request({ agent, host: '127.0.0.1', port, path, setHost: false, headers: { host: 'a' } }, (response) => {
      response.resume();
      response.on('end', () => {
        const found = response.headers['x-path'];
        settle(response.statusCode === 200 && typeof found === 'string' ? found : null);
      });
    });
    call.on('error', fail);
    call.end();
  });
}

const PIECES = [
  '/',
  '/',
  '/',
  'a',
  'b.c',
  '.',
  '..',
  '/../',
  '/./',
  '\\',
  ';',
  ';x',
  '..;',
  '%2e',
  '%2E',
  '%2f',
  '%2F',
  '%5c',
  '%5C',
  '%41',
  '%7e',
  '%25',
  '%20',
  '%00',
  '%',
  '%4',
  '~',
  '-',
  '_',
  '"',
  '<',
  '>',
  '^',
  '`',
  '{',
  '|',
  '}',
  '[',
  ']',
  '!',
  '$',
  '&',
  "'",
  '(',
  ')',
  '*',
  '+',
  ',',
  '=',
  ':',
  '@',
  '#',
];
