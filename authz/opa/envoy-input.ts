/**
 * The input document of opa-envoy-plugin, version 3: Envoy's CheckRequest by the names of its JSON, members that are not set left
 * out, and beside it what the plugin derives from path and body. Pure: what is known of a request comes in, a document goes out.
 */
import { parseJson, toJson } from './json.ts';
import { parseQuery } from './query.ts';

/** An address of Envoy's, or null for none. */
export interface EnvoyPeer {
  readonly address: string;
  readonly port: number;
  /** SPIFFE ID, or null. */
  readonly principal: string | null;
  readonly service?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** URL-encoded PEM. */
  readonly certificate?: string;
}

export interface EnvoyRequest {
  readonly source: EnvoyPeer | null;
  readonly destination: EnvoyPeer | null;
  readonly id: string;
  readonly method: string;
  /** With its query, as it was sent. */
  readonly path: string;
  readonly host: string;
  readonly scheme: string;
  /** `HTTP/1.1`, `HTTP/2`. */
  readonly protocol: string;
  /** Names in lower case, values of one name joined by a comma; pseudo-headers are added here. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the content, or -1 when that is not known. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** What of the body is given to the policy; null when it is not asked for. */
  readonly body: { readonly bytes: Uint8Array; readonly isPartial: boolean } | null;
  readonly contextExtensions?: Readonly<Record<string, string>>;
  readonly filterMetadata?: Readonly<Record<string, unknown>>;
  readonly sni?: string;
}

/** The document as JSON, or why the request cannot be judged: it is to be answered with 400. */
export type EnvoyInput =
  | { readonly ok: true; readonly json: string }
  | { readonly ok: false; readonly code: 'opa_request_path' | 'opa_request_query' | 'opa_request_body' };

export function envoyInput(request: EnvoyRequest, options: { readonly parseBody: boolean }): EnvoyInput {
  const [rawPath = '', ...queryParts] = request.path.split('?');
  const segments = parsePath(rawPath);
  if (segments === null) return { ok: false, code: 'opa_request_path' };
  const query = parseQuery(queryParts.join('?'));
  if (query === null) return { ok: false, code: 'opa_request_query' };
  const body = options.parseBody ? parseBody(request) : undefined;
  if (body === null) return { ok: false, code: 'opa_request_body' };

  const principal = request.source?.principal ?? '';
  const members = [
    `"attributes":${JSON.stringify(attributesOf(request))}`,
    `"parsed_path":${JSON.stringify(segments)}`,
    `"parsed_query":${JSON.stringify(Object.fromEntries(query))}`,
    ...(body === undefined ? [] : [`"parsed_body":${body.json}`, `"truncated_body":${body.isTruncated}`]),
    ...(principal === '' ? [] : [`"source_principal":${JSON.stringify(principal)}`]),
    '"version":{"encoding":"protojson","ext_authz":"v3"}',
  ];
  return { ok: true, json: `{${members.join(',')}}` };
}

function attributesOf(request: EnvoyRequest): object {
  const { body, contextExtensions, filterMetadata, host, id, method, path, protocol, scheme, size, sni, timeMs } = request;
  const pseudo = { ':authority': host, ':method': method, ':path': path, ':scheme': scheme };
  const text = body === null ? '' : Buffer.from(body.bytes).toString('utf8');
  const http = set({ id, method, headers: { ...pseudo, ...request.headers }, path, host, scheme, protocol, body: text, size });
  const seconds = Math.floor(timeMs / 1000);
  return set({
    source: request.source === null ? undefined : peerOf(request.source),
    destination: request.destination === null ? undefined : peerOf(request.destination),
    request: { time: set({ seconds, nanos: (timeMs - seconds * 1000) * 1_000_000 }), http },
    contextExtensions,
    metadataContext: filterMetadata === undefined ? {} : { filterMetadata },
    routeMetadataContext: {},
    tlsSession: sni === undefined || sni === '' ? undefined : { sni },
  });
}

function peerOf({ address, certificate, labels, port, principal, service }: EnvoyPeer): object {
  return set({
    address: { socketAddress: set({ address, portValue: port }) },
    service,
    labels,
    principal: principal ?? '',
    certificate,
  });
}

/** Protocol buffers know no difference between a member that is absent and one that is zero. */
function set(members: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== '' && value !== 0));
}

/** Steps of the percent-decoded path, all slashes in front taken away; null for an escape that is none. */
function parsePath(path: string): readonly string[] | null {
  if (/%(?![0-9a-fA-F]{2})/u.test(path)) return null;
  const bytes = Buffer.from(path, 'utf8').toString('latin1');
  const decoded = bytes.replace(/%([0-9a-fA-F]{2})/gu, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(decoded, 'latin1').toString('utf8').replace(/^\/+/u, '').split('/');
}

interface ParsedBody {
  readonly json: string;
  readonly isTruncated: boolean;
}

/** The body by its type; null when it says that it is of the type and is not. */
function parseBody({ body, headers }: EnvoyRequest): ParsedBody | null {
  const type = headers['content-type'] ?? '';
  if (body === null) return NO_BODY;
  if (body.isPartial || headers['x-envoy-auth-partial-body'] === 'true') return TRUNCATED;
  const text = Buffer.from(body.bytes).toString('utf8');
  if (type.includes('application/json')) {
    if (text === '') return NO_BODY;
    const announced = headers['content-length'];
    if (announced !== undefined) {
      if (!/^-?[0-9]{1,18}$/u.test(announced)) return null;
      if (Number(announced) > body.bytes.length) return TRUNCATED;
    }
    const reading = parseJson(text);
    return reading.ok ? { json: toJson(reading.value), isTruncated: false } : null;
  }
  if (type.includes('application/x-www-form-urlencoded')) {
    if (text === '') return NO_BODY;
    const form = parseQuery(text);
    return form === null ? null : { json: JSON.stringify(Object.fromEntries(form)), isTruncated: false };
  }
  // Messages of gRPC and forms in parts are given undecoded, as the plugin does without descriptors.
  return NO_BODY;
}

const NO_BODY: ParsedBody = { json: 'null', isTruncated: false };
const TRUNCATED: ParsedBody = { json: 'null', isTruncated: true };
