/** Builtins that read and write encodings: base64, hex, JSON, YAML, URL queries, UUIDs. */
import { parse, stringify } from 'yaml';

import { MAX_JSON_DEPTH, parseJson, toJson } from '../json.ts';
import { normal } from '../numbers.ts';
import { decodeQuery, parseQuery } from '../query.ts';
import { RegoObject, RegoSet, isArray, objectOf } from '../value.ts';
import type { RegoValue } from '../value.ts';
import { ofText } from './builtin.ts';
import type { BuiltinTable } from './builtin.ts';

export const ENCODING_BUILTINS: BuiltinTable = {
  'base64.encode': ofText((text) => Buffer.from(text).toString('base64')),
  'base64.decode': ofText((text) => decodeText(text, BASE64, 'base64')),
  'base64.is_valid': ([text]) => typeof text === 'string' && BASE64.test(text),
  'base64url.encode': ofText((text) => padded(Buffer.from(text).toString('base64url'))),
  'base64url.encode_no_pad': ofText((text) => Buffer.from(text).toString('base64url')),
  'base64url.decode': ofText((text) => decodeBase64Url(text)?.toString('utf8')),
  'hex.encode': ofText((text) => Buffer.from(text).toString('hex')),
  'hex.decode': ofText((text) => decodeText(text, HEX, 'hex')),

  'json.marshal': ([value]) => (value === undefined ? undefined : goJson(value)),
  'json.marshal_with_options': ([value, options]) => marshalWithOptions(value, options),
  'json.unmarshal': ofText((text) => {
    const reading = parseJson(text);
    return reading.ok ? reading.value : undefined;
  }),
  'json.is_valid': ([text]) => typeof text === 'string' && parseJson(text).ok,

  'yaml.marshal': ([value]) =>
    value === undefined ? undefined : stringify(JSON.parse(toJson(value)), { sortMapEntries: true, lineWidth: 0 }),
  'yaml.unmarshal': ofText((text, { meter }) => {
    meter.spend(text.length * YAML_COST);
    return parseYaml(text);
  }),
  'yaml.is_valid': ([text], { meter }) => {
    if (typeof text !== 'string') return false;
    meter.spend(text.length * YAML_COST);
    return parseYaml(text) !== undefined;
  },

  'urlquery.encode': ofText(encodeQuery),
  'urlquery.decode': ofText((text) => decodeQuery(text)),
  'urlquery.encode_object': ([object]) => encodeQueryObject(object),
  'urlquery.decode_object': ofText((text) => {
    const query = parseQuery(text);
    return query === null ? undefined : objectOf(query);
  }),

  'uuid.parse': ofText(parseUuid),
};

/** Base64 for URLs (RFC 4648, section 5), padding optional; null for anything else. */
export function decodeBase64Url(text: string): Buffer | undefined {
  const bare = text.replace(/={0,2}$/u, '');
  return BASE64URL.test(bare) && bare.length % 4 !== 1 ? Buffer.from(bare, 'base64url') : undefined;
}

/** A value of YAML 1.2 without aliases; undefined for what is none. */
export function parseYaml(text: string): RegoValue | undefined {
  if (text.length > MAX_YAML || nestsDeeply(text)) return undefined;
  try {
    const value: unknown = parse(text, { maxAliasCount: 0, merge: false, intAsBigInt: false, uniqueKeys: true });
    const reading = parseJson(JSON.stringify(value ?? null));
    return reading.ok ? reading.value : undefined;
  } catch {
    return undefined;
  }
}

/** The reader of YAML takes time with the square of the depth of flow collections. */
function nestsDeeply(text: string): boolean {
  let depth = 0;
  for (const sign of text) {
    if (sign === '[' || sign === '{') depth++;
    else if (sign === ']' || sign === '}') depth--;
    if (depth > MAX_JSON_DEPTH) return true;
  }
  return false;
}

function decodeText(text: string, shape: RegExp, encoding: 'base64' | 'hex'): string | undefined {
  return shape.test(text) ? Buffer.from(text, encoding).toString('utf8') : undefined;
}

/** Go's encoder escapes what could end a script element. */
function goJson(value: RegoValue): string {
  return toJson(value).replace(/[<>&\u2028\u2029]/gu, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function marshalWithOptions(value: RegoValue | undefined, options: RegoValue | undefined): string | undefined {
  if (value === undefined || !(options instanceof RegoObject)) return undefined;
  const [indent, prefix, pretty] = [options.find('indent') ?? '\t', options.find('prefix') ?? '', options.find('pretty')];
  if (typeof indent !== 'string' || typeof prefix !== 'string') return undefined;
  const isPretty = pretty === undefined ? options.size > 0 : pretty;
  if (typeof isPretty !== 'boolean') return undefined;
  if (!isPretty) return goJson(value);
  return indented(value, indent, `\n${prefix}`);
}

function indented(value: RegoValue, indent: string, line: string): string {
  const inner = `${line}${indent}`;
  if (value instanceof RegoObject && value.size > 0) {
    const pairs = value.entries().map(([key, element]) => {
      const name = typeof key === 'string' ? key : toJson(key);
      return `${inner}${goJson(name)}: ${indented(element, indent, inner)}`;
    });
    return `{${pairs.join(',')}${line}}`;
  }
  const elements = isArray(value) ? value : value instanceof RegoSet ? value.elements() : [];
  if (elements.length === 0) return goJson(value);
  return `[${elements.map((element) => `${inner}${indented(element, indent, inner)}`).join(',')}${line}]`;
}

/** Go's url.QueryEscape. */
function encodeQuery(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replace(/[!'()*]/gu, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function encodeQueryObject(object: RegoValue | undefined): string | undefined {
  if (!(object instanceof RegoObject)) return undefined;
  const parts: string[] = [];
  for (const [key, value] of object.entries()) {
    const values =
      typeof value === 'string' ? [value] : isArray(value) ? value : value instanceof RegoSet ? value.elements() : null;
    if (typeof key !== 'string' || values === null) return undefined;
    for (const one of values) {
      if (typeof one !== 'string') return undefined;
      parts.push(`${encodeQuery(key)}=${encodeQuery(one)}`);
    }
  }
  return parts.join('&');
}

function padded(text: string): string {
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

/** RFC 4122: version and variant, and of versions 1 and 2 what else they say. */
function parseUuid(text: string): RegoValue | undefined {
  const parts = UUID.exec(text.toLowerCase());
  if (parts === null) return undefined;
  const bytes = Buffer.from(parts.slice(1).join(''), 'hex');
  const made = new RegoObject();
  const version = (bytes[6] ?? 0) >> 4;
  const top = bytes[8] ?? 0;
  const variant =
    (top & 0xc0) === 0x80 ? 'RFC4122' : (top & 0xe0) === 0xc0 ? 'Microsoft' : (top & 0xe0) === 0xe0 ? 'Future' : 'Reserved';
  made.insert('version', version);
  made.insert('variant', variant);
  if (version !== 1 && version !== 2) return made;
  const high = BigInt(bytes.readUInt16BE(6) & 0x0fff) << 48n;
  const ticks = high | (BigInt(bytes.readUInt16BE(4)) << 32n) | BigInt(bytes.readUInt32BE(0));
  // 64 bits hold it only from 1678 to 2262; Go lets it overflow.
  made.insert('time', normal(BigInt.asIntN(64, (ticks - UUID_EPOCH) * 100n)));
  made.insert('nodeid', [...bytes.subarray(10)].map((byte) => byte.toString(16).padStart(2, '0')).join('-'));
  made.insert('macvariables', macVariables(bytes[10] ?? 0));
  made.insert('clocksequence', bytes.readUInt16BE(8) & 0x3fff);
  if (version === 2) {
    made.insert('id', bytes.readUInt32BE(0));
    made.insert('domain', ['Person', 'Group', 'Org'][bytes[9] ?? 0] ?? `Domain${bytes[9]}`);
  }
  return made;
}

function macVariables(first: number): string {
  const scope = (first & 2) === 0 ? 'global' : 'local';
  return `${scope}:${(first & 1) === 0 ? 'unicast' : 'multicast'}`;
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u;
const BASE64URL = /^[A-Za-z0-9_-]*$/u;
const HEX = /^(?:[0-9a-fA-F]{2})*$/u;
const UUID = /^(?:urn:uuid:|\{)?([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\}?$/u;
/** Hundreds of nanoseconds between the start of the Gregorian calendar and 1970. */
const UUID_EPOCH = 122_192_928_000_000_000n;
const MAX_YAML = 1_000_000;
/** Steps that a character of YAML takes, some 300 ns. */
const YAML_COST = 64;
