/** Asks a running sidecar through its admin socket (proxy/admin). Reads only; the socket has no verb that changes anything. */
import { Client } from 'undici';

import type { ProxyConfig } from '#proto/config/proxy.ts';
import { formatFault } from '#proto/fault-text.ts';

import { readConfigFile } from './config-file.ts';
import { findConfigFile } from './config-search.ts';
import { EXIT, ExitError } from './exit.ts';

/** Where a sidecar may be found: its socket, or the file that it was started with. */
export interface SidecarPlace {
  readonly admin: string | null;
  readonly config: ProxyConfig | null;
}

/** Finds the socket that was named, or that of the configuration file. Throws `ExitError` when a named file is at fault. */
export function findSidecar(named: { readonly admin?: string; readonly config?: string }): SidecarPlace {
  if (named.admin !== undefined && named.config === undefined) return { admin: named.admin, config: null };
  const file = findConfigFile(named.config, process.env);
  if (file === null) return { admin: named.admin ?? null, config: null };
  const { config, faults } = readConfigFile(file);
  if (config === null) {
    throw new ExitError(EXIT.configuration, `Cannot read "${file}":\n${faults.map(formatFault).join('\n')}`);
  }
  return { admin: named.admin ?? config.telemetry.admin, config };
}

/** One `GET`; null where the sidecar knows no such thing. Throws `ExitError` when nobody answers. */
export async function askSidecar(socket: string, path: string, timeoutMs = 5_000): Promise<unknown> {
  const client = new Client('http://sidecar', {
    socketPath: socket,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: { timeout: timeoutMs },
  });
  try {
    const { statusCode, body } = await client.request({ path, method: 'GET' });
    const text = await boundedText(body);
    if (statusCode === 404) return null;
    if (statusCode === 200) return JSON.parse(text) as unknown;
    throw new ExitError(EXIT.other, `Cannot ask the sidecar at "${socket}": found status ${statusCode} for ${path}`);
  } catch (error) {
    throw error instanceof ExitError ? error : unreachable(socket, error);
  } finally {
    await client.destroy();
  }
}

async function boundedText(body: AsyncIterable<unknown>): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of body) {
    // The body of a response gives buffers.
    const bytes = part as Buffer;
    length += bytes.length;
    if (length > MAX_BODY_BYTES)
      throw new ExitError(EXIT.other, `Cannot read the sidecar's answer: found more than ${MAX_BODY_BYTES} bytes`);
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString('utf8');
}

function unreachable(socket: string, error: unknown): ExitError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  if (code === 'EACCES' || code === 'EPERM') {
    return new ExitError(
      EXIT.notPermitted,
      `Cannot ask the sidecar at "${socket}": found ${code}`,
      'run as the user of the sidecar',
    );
  }
  const found = code === 'ENOENT' ? 'no such socket' : code;
  return new ExitError(EXIT.unreachable, `Cannot ask the sidecar at "${socket}": found ${found}, wanted a running sidecar`);
}

const MAX_BODY_BYTES = 67_108_864;
