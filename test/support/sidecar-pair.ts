/** One sidecar with an mTLS and a plaintext listener before one recording upstream, and how much memory it takes meanwhile. */
import { onTestFinished } from 'vitest';

import { MeshIdentities } from './mesh-identities.ts';
import { plainClient, tlsClient, type RawClient } from './raw-client.ts';
import { startUpstream, type RawUpstream, type UpstreamBehaviour } from './raw-upstream.ts';
import { startSidecar, type Settings, type Sidecar } from './sidecar.ts';

export interface SidecarPair {
  readonly sidecar: Sidecar;
  readonly upstream: RawUpstream;
  /** Connects as `web` by mutual TLS. */
  readonly tls: () => Promise<RawClient>;
  readonly plain: () => Promise<RawClient>;
}

export const mesh = new MeshIdentities();
export const web = { mesh, svid: mesh.svid('web') };
export const GET = 'GET /x HTTP/1.1\r\nHost: app.test\r\n\r\n';
export const MIB = 1024 * 1024;

/** Ends it when the test is over. */
export function keep<T extends AsyncDisposable>(each: T): T {
  onTestFinished(() => each[Symbol.asyncDispose]());
  return each;
}

/** Starts both; they end with the test. */
export async function startPair(
  behaviour: UpstreamBehaviour,
  timeouts: Settings = {},
  limits: Settings = {},
): Promise<SidecarPair> {
  const upstream = keep(await startUpstream(behaviour));
  const forwardTo = `127.0.0.1:${upstream.port}`;
  const inbound = [
    { mtls: 'STRICT', forwardTo },
    { mtls: 'DISABLE', forwardTo },
  ];
  const sidecar = keep(await startSidecar({ mesh, inbound, timeouts, limits }));
  return {
    sidecar,
    upstream,
    tls: () => tlsClient(sidecar.inboundPort, web),
    plain: () => plainClient(sidecar.inbound[1] ?? 0),
  };
}

/** Highest resident memory while `work` runs, and that before it. */
export async function resident(sidecar: Sidecar, work: () => Promise<void>): Promise<{ beforeMib: number; peakMib: number }> {
  const before = sidecar.residentBytes;
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, sidecar.residentBytes)), 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return { beforeMib: before / MIB, peakMib: Math.max(peak, sidecar.residentBytes) / MIB };
}

/** Uses every path of the process once or twice, so that what a test measures is not its first use. */
export async function warmUp(connect_: () => Promise<RawClient>, megabytes = 160): Promise<void> {
  await using client = await connect_();
  const body = Buffer.alloc(MIB, 97);
  for (let i = 0; i < megabytes; i++) {
    await client.ask(Buffer.concat([Buffer.from(`POST /w HTTP/1.1\r\nHost: a\r\nContent-Length: ${MIB}\r\n\r\n`), body]));
  }
}
