/**
 * Fetches the key set of an issuer (RFC 7517), by its URL or by the issuer's OpenID configuration. https only, no redirects, addresses
 * looked at before a connection is made, bounded in size and time, JSON only. Runs in a process of its own, never in that of the data
 * path. It throws nothing: every way to fail is a code.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { getCACertificates } from 'node:tls';

import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';

import { jsonObject } from '#certs/jwt/compact-jws.ts';
import { readKeySet } from '#certs/jwt/key-set.ts';
import type { KeySetAnswer, KeySetFault, KeySetRequest } from '#proto/key-sets.ts';

import { guardedLookup, isPublicAddress, PRIVATE_ADDRESS } from './guarded-lookup.ts';

export async function fetchKeySet({ authorities, id, privateHosts, source }: KeySetRequest): Promise<KeySetAnswer> {
  const isFree = (host: string): boolean => privateHosts.includes(host.toLowerCase());
  const signal = AbortSignal.timeout(source.timeoutMs);
  let agent: Agent | null = null;
  try {
    agent = agentWith(authorities, isFree, source.timeoutMs);
    const fetching = { agent, isFree, signal };
    const url = source.jwksUri ?? (await discover(source.issuer, fetching));
    const text = await fetchJson(url, fetching);
    return { id, keys: usable(text), fault: null, detail: '' };
  } catch (error) {
    const { detail, fault } = error instanceof FetchFault ? error : faultOf(error, signal);
    return { id, keys: null, fault, detail };
  } finally {
    void agent?.destroy();
  }
}

interface Fetching {
  readonly agent: Agent;
  readonly isFree: (host: string) => boolean;
  readonly signal: AbortSignal;
}

/** Thrown and caught here only. */
class FetchFault extends Error {
  readonly fault: KeySetFault;
  readonly detail: string;

  constructor(fault: KeySetFault, detail: string) {
    super(fault);
    this.fault = fault;
    this.detail = detail;
  }
}

function agentWith(authorities: string | null, isFree: (host: string) => boolean, timeoutMs: number): Agent {
  const own = authorities === null ? [] : [readFileSync(authorities, 'utf8')];
  return new Agent({
    connections: 1,
    maxHeaderSize: 16_384,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: {
      timeout: timeoutMs,
      lookup: guardedLookup(isFree),
      ...(own.length === 0 ? {} : { ca: [...getCACertificates('default'), ...own] }),
    },
  });
}

/** OpenID Connect Discovery 1.0, sections 4.1 and 4.3. */
async function discover(issuer: string, fetching: Fetching): Promise<string> {
  const text = await fetchJson(`${issuer.replace(/\/$/u, '')}/.well-known/openid-configuration`, fetching);
  const document = jsonObject(Buffer.from(text, 'utf8'));
  const named = document?.['issuer'];
  const uri = document?.['jwks_uri'];
  if (named !== issuer) throw new FetchFault('key_set_discovery', 'another issuer');
  if (typeof uri !== 'string') throw new FetchFault('key_set_discovery', 'no jwks_uri');
  return uri;
}

async function fetchJson(text: string, { agent, isFree, signal }: Fetching): Promise<string> {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.protocol !== 'https:' || url.username !== '' || url.password !== '' || url.hash !== '') {
    throw new FetchFault('key_set_url', text.slice(0, SHOWN));
  }
  // Addresses are not looked up; the URL parser has brought every spelling of them into one.
  const host = url.hostname.replace(/^\[|\]$/gu, '');
  if (isIP(host) !== 0 && !isPublicAddress(host) && !isFree(host)) throw new FetchFault('key_set_address', `the address ${host}`);
  const headers = {
    accept: 'application/json, application/jwk-set+json',
    'accept-encoding': 'identity',
    'user-agent': 'postern',
  };
  const response = await request(url, { dispatcher: agent, signal, headers });
  try {
    return await readJson(response);
  } finally {
    response.body.on('error', () => undefined);
    response.body.destroy();
  }
}

async function readJson({ body, headers, statusCode }: Dispatcher.ResponseData): Promise<string> {
  if (statusCode !== 200) throw new FetchFault('key_set_status', `status ${statusCode}`);
  const type = headers['content-type'];
  if (typeof type !== 'string' || !JSON_TYPE.test(type)) throw new FetchFault('key_set_type', String(type).slice(0, SHOWN));
  if (Number(headers['content-length'] ?? 0) > MOST_BYTES) throw new FetchFault('key_set_size', '');
  const chunks: Buffer[] = [];
  let length = 0;
  // A body without an encoding is a stream of buffers.
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MOST_BYTES) throw new FetchFault('key_set_size', '');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length).toString('utf8');
}

/** The keys in an order of our own, so that equal sets are equal texts. */
function usable(text: string): string {
  const set = readKeySet(text);
  if (set === null) throw new FetchFault('key_set_malformed', '');
  if (set.keys.length === 0) throw new FetchFault('key_set_empty', [...new Set(set.left)].join(', ').slice(0, SHOWN));
  const listed = jsonObject(Buffer.from(text, 'utf8'))?.['keys'];
  // It is a list, or there were no keys.
  const keys = (listed as unknown[]).map((key) => JSON.stringify(key)).toSorted();
  return `{"keys":[${keys.join(',')}]}`;
}

function faultOf(error: unknown, signal: AbortSignal): Pick<FetchFault, 'fault' | 'detail'> {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === PRIVATE_ADDRESS) return { fault: 'key_set_address', detail: message };
  const isLate = signal.aborted || (typeof code === 'string' && code.endsWith('_TIMEOUT'));
  return { fault: isLate ? 'key_set_timeout' : 'key_set_unreachable', detail: isLate ? '' : message.slice(0, SHOWN) };
}

const MOST_BYTES = 1_048_576;
/** Characters of what others wrote that a log shows. */
const SHOWN = 200;
const JSON_TYPE = /^application\/(?:json|[\w.-]+\+json)\s*(?:;|$)/iu;
