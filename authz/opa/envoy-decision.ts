/**
 * The decision document of opa-envoy-plugin: a boolean, or an object that says `allowed` and what else is to happen. Strict as the
 * plugin is: a member of a wrong type makes the whole decision a denial of its own code, never one that is half carried out.
 */
import { denied } from './outcome.ts';
import type { OpaDenied } from './outcome.ts';

export interface EnvoyDecision {
  readonly ok: true;
  readonly allowed: boolean;
  /** To the upstream when allowed, to the caller when denied. */
  readonly headers: readonly HeaderPair[];
  readonly responseHeadersToAdd: readonly HeaderPair[];
  readonly requestHeadersToRemove: readonly string[];
  readonly queryParametersToSet: readonly HeaderPair[];
  readonly queryParametersToRemove: readonly string[];
  /** Only of a denial; null when the policy gives none. */
  readonly body: string | null;
  /** Of a denial. */
  readonly httpStatus: number;
  readonly dynamicMetadata: Readonly<Record<string, unknown>> | null;
}

export type HeaderPair = readonly [name: string, value: string];

/** Reads what a policy gave, as JSON. */
export function readEnvoyDecision(json: string): EnvoyDecision | OpaDenied {
  const value: unknown = JSON.parse(json);
  if (typeof value === 'boolean') return { ...PLAIN, allowed: value };
  if (!isObject(value)) return wrong('a decision is neither a boolean nor an object');
  const allowed = value['allowed'];
  if (typeof allowed !== 'boolean') return wrong('a decision does not say "allowed" with a boolean');
  try {
    return {
      ok: true,
      allowed,
      headers: headerPairs(value, 'headers'),
      responseHeadersToAdd: headerPairs(value, 'response_headers_to_add'),
      requestHeadersToRemove: names(value, 'request_headers_to_remove'),
      queryParametersToSet: parameters(value),
      queryParametersToRemove: names(value, 'query_parameters_to_remove'),
      body: text(value, 'body'),
      httpStatus: status(value['http_status']),
      dynamicMetadata: metadata(value['dynamic_metadata']),
    };
  } catch (error) {
    if (error instanceof WrongType) return wrong(error.message);
    throw error;
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** Leaves the reading of one document; it does not leave this file. */
class WrongType extends Error {}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(message: string): OpaDenied {
  return denied('opa_result_type', message);
}

/** One object, or several in a list; a value is a text or a list of texts. */
function headerPairs(decision: Fields, member: string): readonly HeaderPair[] {
  const value = decision[member];
  if (value === undefined) return [];
  const objects: readonly unknown[] = Array.isArray(value) ? value : [value];
  return objects.flatMap((headers) => {
    if (!isObject(headers)) throw new WrongType(`"${member}" is not made of objects`);
    return pairsOf(headers, member).map(([name, one]): HeaderPair => {
      if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(one)) throw new WrongType(`"${member}" has what is no header`);
      return [name, one];
    });
  });
}

function parameters(decision: Fields): readonly HeaderPair[] {
  const value = decision['query_parameters_to_set'];
  if (value === undefined) return [];
  if (!isObject(value)) throw new WrongType('"query_parameters_to_set" is no object');
  return pairsOf(value, 'query_parameters_to_set');
}

function pairsOf(object: Fields, member: string): readonly HeaderPair[] {
  return Object.entries(object).flatMap(([name, value]) => {
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    return values.map((one): HeaderPair => {
      if (typeof one !== 'string') throw new WrongType(`"${member}" has a value that is no text`);
      return [name, one];
    });
  });
}

function names(decision: Fields, member: string): readonly string[] {
  const value = decision[member];
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new WrongType(`"${member}" is no list`);
  return value.map((name: unknown) => {
    if (typeof name !== 'string') throw new WrongType(`"${member}" has a name that is no text`);
    return name;
  });
}

function text(decision: Fields, member: string): string | null {
  const value = decision[member];
  if (value === undefined) return null;
  if (typeof value !== 'string') throw new WrongType(`"${member}" is no text`);
  return value;
}

/** One that Envoy's enumeration and Go's table both know, and that ends an exchange. */
function status(value: unknown): number {
  if (value === undefined) return FORBIDDEN;
  const isKnown = typeof value === 'number' && STATUSES.has(value);
  if (!isKnown) throw new WrongType('"http_status" is no status of HTTP');
  return value;
}

function metadata(value: unknown): Fields | null {
  if (value === undefined) return null;
  if (!isObject(value)) throw new WrongType('"dynamic_metadata" is no object');
  return value;
}

const FORBIDDEN = 403;
const STATUSES: ReadonlySet<number> = new Set([
  ...[200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308],
  ...[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417],
  ...[421, 422, 423, 424, 426, 428, 429, 431, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511],
]);
const PLAIN: EnvoyDecision = {
  ok: true,
  allowed: false,
  headers: [],
  responseHeadersToAdd: [],
  requestHeadersToRemove: [],
  queryParametersToSet: [],
  queryParametersToRemove: [],
  body: null,
  httpStatus: FORBIDDEN,
  dynamicMetadata: null,
};
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/u;
const HEADER_VALUE = /^[^\0\r\n]*$/u;
