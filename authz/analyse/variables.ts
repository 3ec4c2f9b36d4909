/**
 * Attributes as variables of the symbolic procedures: which byte strings each can hold, and which attributes are but readings of one
 * value. What a SPIFFE ID says in six ways is one variable, issuer and subject of a token another, so that no witness contradicts
 * itself. A token's attributes exist once for each token that is considered.
 */
import type { SlotSource } from '../plan/compiled.ts';
import { literalBytes, runOfBytes } from '../plan/regex/byte-pattern.ts';
import type { BytePattern } from '../plan/regex/byte-pattern.ts';
import { parseRegex } from '../plan/regex/parse.ts';

export interface Variable {
  readonly key: string;
  /** A request can hold several values of it. */
  readonly isList: boolean;
  readonly canBeAbsent: boolean;
  /** Every value that a request can have. */
  readonly domain: BytePattern;
  readonly domainKey: string;
  /** Plain values, the likeliest first: they make witnesses readable. */
  readonly samples: readonly string[];
  readonly isOfToken: boolean;
}

/** The variable that an attribute is read from. @param copy  number of the token */
export function variableOf(source: SlotSource, copy: number): Variable {
  const name = nameOf(source);
  const isToken = isOfToken(source);
  const key = isToken ? `${name} of token ${copy}` : name;
  const known = KNOWN.get(key);
  if (known !== undefined) return known;
  const kind = name.split(' ')[0] ?? '';
  const { absent = true, domain = TEXT, list = false, samples = ['other'] } = SHAPES[kind] ?? {};
  const made = {
    key,
    isList: list,
    canBeAbsent: absent,
    domain: domainOf(domain),
    domainKey: `domain ${domain}`,
    samples,
    isOfToken: isToken,
  };
  if (KNOWN.size < MAX_KNOWN) KNOWN.set(key, made);
  return made;
}

export function isOfToken({ kind }: SlotSource): boolean {
  return OF_TOKEN.has(kind);
}

function nameOf(source: SlotSource): string {
  switch (source.kind) {
    case 'principal':
    case 'trustDomain':
    case 'namespace':
    case 'account':
    case 'anyNamespace':
    case 'anyAccount':
      return 'principal';
    case 'requestPrincipal':
    case 'issuer':
    case 'subject':
      return 'user';
    case 'claim': {
      const [first = ''] = source.path;
      const own = source.path.length === 1 ? OWN_CLAIMS[first] : undefined;
      return own ?? `claim ${JSON.stringify(source.path)}`;
    }
    case 'header':
    case 'tag':
    case 'provider':
      return `${source.kind} ${source.name}`;
    default:
      return source.kind;
  }
}

interface Shape {
  readonly absent?: boolean;
  readonly list?: boolean;
  /** RE2 syntax, or the name of a form that is no text. */
  readonly domain?: string;
  readonly samples?: readonly string[];
}

function domainOf(text: string): BytePattern {
  const known = DOMAINS.get(text);
  if (known !== undefined) return known;
  const made = BINARY[text] ?? parseRegex(text);
  DOMAINS.set(text, made);
  return made;
}

function anyBytes(count: number): BytePattern {
  return { kind: 'repeat', of: { kind: 'bytes', ranges: [{ low: 0, high: 0xff }] }, least: count, most: count };
}

const OWN_CLAIMS: Readonly<Record<string, string>> = { iss: 'user', sub: 'user', aud: 'audiences', azp: 'presenter' };
/** Any bytes but 0xff, which is in no text. */
const TEXT = 'text';
const PATH = 'path';
const ADDRESS = 'address';
/** Binary forms: a family and its bytes; two bytes of a port; issuer, 0xff, subject. */
const BINARY: Readonly<Record<string, BytePattern>> = {
  [ADDRESS]: {
    kind: 'choice',
    of: [
      { kind: 'sequence', of: [literalBytes('\x04'), anyBytes(4)] },
      { kind: 'sequence', of: [literalBytes('\x06'), anyBytes(16)] },
    ],
  },
  port: anyBytes(2),
  [TEXT]: runOfBytes(0),
  // `*` is what OPTIONS asks of the server as a whole. Blanks are nowhere, nor what begins a query or a fragment.
  [PATH]: {
    kind: 'choice',
    of: [
      literalBytes('*'),
      {
        kind: 'sequence',
        of: [
          literalBytes('/'),
          {
            kind: 'repeat',
            of: {
              kind: 'bytes',
              ranges: [
                { low: 0x21, high: 0x22 },
                { low: 0x24, high: 0x3e },
                { low: 0x40, high: 0x7e },
                { low: 0x80, high: 0xfe },
              ],
            },
            least: 0,
            most: null,
          },
        ],
      },
    ],
  },
  user: {
    kind: 'sequence',
    of: [
      { kind: 'repeat', of: { kind: 'bytes', ranges: [{ low: 0x20, high: 0xfe }] }, least: 1, most: null },
      literalBytes('\xff'),
      { kind: 'repeat', of: { kind: 'bytes', ranges: [{ low: 0x20, high: 0xfe }] }, least: 0, most: null },
    ],
  },
};
const SHAPES: Readonly<Record<string, Shape>> = {
  principal: {
    domain: '[a-z0-9._-]+(/[a-zA-Z0-9._-]+)+',
    samples: ['cluster.local/ns/other/sa/other', 'foreign.test/ns/other/sa/other', 'foreign.test/other'],
  },
  sourceIp: { absent: false, domain: ADDRESS, samples: ['\x04\x0a\0\0\x01', '\x04\xcb\0\x71\x09'] },
  remoteIp: { absent: false, domain: ADDRESS, samples: ['\x04\x0a\0\0\x01', '\x04\xcb\0\x71\x09'] },
  destinationIp: { absent: false, domain: ADDRESS, samples: ['\x04\x0a\0\0\x02'] },
  destinationPort: { absent: false, domain: 'port', samples: ['\x1f\x90', '\0\x01'] },
  sni: { domain: '[!-@\\[-~]+', samples: ['other.test'] },
  tls: { absent: false, domain: 'true|false', samples: ['true', 'false'] },
  protocol: { absent: false, domain: 'http|http2|grpc|tcp', samples: ['http', 'tcp', 'http2', 'grpc'] },
  method: { absent: false, domain: "[!#$%&'*+.^_`|~0-9A-Za-z-]+", samples: ['GET', 'OTHER'] },
  authority: { absent: false, domain: '[!-@\\[-~]*', samples: ['service.test'] },
  path: { absent: false, domain: PATH, samples: ['/other', '/'] },
  query: { absent: false, domain: '[!"$-~]*', samples: ['', 'a=1'] },
  header: { list: true },
  tag: { list: true },
  user: { domain: 'user', samples: ['https://other.test\xffother'] },
  audiences: { list: true },
  presenter: {},
  claim: { list: true },
  provider: { domain: 'allow|deny', samples: ['allow', 'deny'] },
};
const OF_TOKEN: ReadonlySet<SlotSource['kind']> = new Set([
  'requestPrincipal',
  'issuer',
  'subject',
  'audiences',
  'presenter',
  'claim',
]);
const DOMAINS = new Map<string, BytePattern>();
const KNOWN = new Map<string, Variable>();
const MAX_KNOWN = 10_000;
