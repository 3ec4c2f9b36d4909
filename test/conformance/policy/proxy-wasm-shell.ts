/** The proxy-wasm module in a small host of its own, written from the specification (version 0.2.1). */
import type { AuthzInput, Decision } from '#authz/engine/input.ts';
import { compileForProxyWasm } from '#authz/plan/compile-shell.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';
import { claimsOf } from '#test/support/token-claims.ts';

import { decisionFrom, isCanonical } from './shell-input.ts';

declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  proxy_on_memory_allocate(size: number): number;
  proxy_on_context_create(context: number, parent: number): void;
  proxy_on_vm_start(context: number, size: number): number;
  proxy_on_configure(context: number, size: number): number;
  proxy_on_request_headers(context: number, count: number, isEnd: number): number;
}

export function loadProxyWasmShell(
  set: WorkloadPolicies,
  whenNoneSelects: 'allow' | 'deny',
  headerNames: readonly string[],
): (input: AuthzInput) => Decision {
  const host = new MiniHost(compileForProxyWasm(set, { whenNoneSelects }));
  return (input) => host.ask(input, headerNames);
}

export function canAskProxyWasm(input: AuthzInput): boolean {
  return input.request !== null && isCanonical(input);
}

class MiniHost {
  readonly #exports: Exports;
  #properties = new Map<string, Uint8Array>();
  #headers: readonly (readonly [string, string])[] = [];
  #details: string | null = null;

  constructor(wasm: Uint8Array) {
    const env = {
      proxy_get_header_map_pairs: (map: number, at: number, size: number): number =>
        map === 0 ? this.#give(headerPairs(this.#headers), at, size) : 2,
      proxy_get_property: (name: number, length: number, at: number, size: number): number => {
        const value = this.#properties.get(this.#text(name, length));
        return value === undefined ? 1 : this.#give(value, at, size);
      },
      proxy_send_local_response: (status: number, details: number, length: number): number => {
        this.#details = `${status} ${this.#text(details, length)}`;
        return 0;
      },
    };
    // The exports are those that the specification names.
    this.#exports = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env }).exports as Exports;
    this.#exports.proxy_on_context_create(1, 0);
    if (this.#exports.proxy_on_vm_start(1, 0) !== 1 || this.#exports.proxy_on_configure(1, 0) !== 1) {
      throw new Error('the module does not start');
    }
  }

  ask(input: AuthzInput, headerNames: readonly string[]): Decision {
    const { request } = input;
    if (request === null) throw new Error('the filter is for requests');
    this.#properties = propertiesOf(input);
    this.#headers = [
      [':authority', request.authority],
      [':path', `${request.path}?${request.query ?? ''}`],
      [':method', request.method],
      ...headerNames.flatMap((name) => request.fields.values(name).map((value) => [name, value] as const)),
    ];
    this.#details = null;
    const action = this.#exports.proxy_on_request_headers(2, this.#headers.length, 1);
    if ((action === 0) !== (this.#details === null)) throw new Error('an answer of two minds');
    const match = /^(?:403|500) postern:([a-z_]+)(?::(.*?)(?:#(.*))?)?$/s.exec(this.#details ?? '');
    return decisionFrom(action === 0, match?.[1] ?? '', match?.[2] ?? null, match?.[3] ?? null);
  }

  #text(at: number, length: number): string {
    return Buffer.from(this.#exports.memory.buffer, at, length).toString('utf8');
  }

  #give(value: Uint8Array, at: number, size: number): number {
    const address = this.#exports.proxy_on_memory_allocate(value.length);
    new Uint8Array(this.#exports.memory.buffer).set(value, address);
    const view = new DataView(this.#exports.memory.buffer);
    view.setUint32(at, address, true);
    view.setUint32(size, value.length, true);
    return 0;
  }
}

function propertiesOf({ connection, request }: AuthzInput): Map<string, Uint8Array> {
  const { destinationIp, destinationPort, principal, remoteIp, sni } = connection;
  const port = Buffer.alloc(8);
  port.writeUInt16LE(destinationPort);
  const properties = new Map<string, Uint8Array>([['destination\0port', port]]);
  const put = (name: string, value: string | null): void => {
    if (value !== null) properties.set(name, Buffer.from(value, 'utf8'));
  };
  put('connection\0uri_san_peer_certificate', principal);
  put('source\0address', remoteIp === '' ? null : withPort(remoteIp, 1234));
  put('destination\0address', destinationIp === '' ? null : withPort(destinationIp, destinationPort));
  put('connection\0requested_server_name', sni);
  const [token] = request?.tokens ?? [];
  if (token !== undefined) {
    const struct = structBytes({ payload: claimsOf(token) });
    const entry = Buffer.concat([field(1, Buffer.from('envoy.filters.http.jwt_authn')), field(2, struct)]);
    properties.set('metadata', field(1, entry));
  }
  return properties;
}

function withPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function headerPairs(headers: readonly (readonly [string, string])[]): Uint8Array {
  const sizes = Buffer.alloc(4 + 8 * headers.length);
  sizes.writeUInt32LE(headers.length);
  const texts = headers.map(([name, value], index) => {
    sizes.writeUInt32LE(name.length, 4 + 8 * index);
    sizes.writeUInt32LE(value.length, 8 + 8 * index);
    return Buffer.from(`${name}\0${value}\0`, 'latin1');
  });
  return Buffer.concat([sizes, ...texts]);
}

/** google.protobuf.Struct. */
function structBytes(value: object): Buffer {
  const entries = Object.entries(value).map(([name, item]) =>
    field(1, Buffer.concat([field(1, Buffer.from(name, 'utf8')), field(2, valueBytes(item))])),
  );
  return Buffer.concat(entries);
}

function valueBytes(value: unknown): Buffer {
  if (typeof value === 'string') return field(3, Buffer.from(value, 'utf8'));
  if (typeof value === 'boolean') return Buffer.from([4 << 3, value ? 1 : 0]);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9);
    bytes[0] = (2 << 3) | 1;
    bytes.writeDoubleLE(value, 1);
    return bytes;
  }
  if (Array.isArray(value)) return field(6, Buffer.concat(value.map((item) => field(1, valueBytes(item)))));
  return typeof value === 'object' && value !== null ? field(5, structBytes(value)) : Buffer.from([1 << 3, 0]);
}

/** A field of bytes. */
function field(number: number, content: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = content.length;
  for (; rest >= 0x80; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), content]);
}
