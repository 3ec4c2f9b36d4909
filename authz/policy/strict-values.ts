/**
 * Values of our own kinds as comparisons: `*` is "there", `x*` a prefix, `*x` a suffix, `regex:` RE2 syntax over the whole value, and
 * anything else the value itself; paths have templates, addresses blocks, ports ranges. Says what is wrong with a value.
 */
import { RE2JS } from 're2js';

import type { Attribute, Comparison } from './expression.ts';
import type { MessageCode } from './messages.ts';
import { checkIp, checkPath, checkPort } from './values.ts';
import type { ValueFault } from './values.ts';

export type ReadValue = Comparison | ValueFault;

export function isFault(read: ReadValue): read is ValueFault {
  return 'code' in read;
}

/** Reads a value as the attribute takes it. */
export function readComparison(attribute: Attribute, text: string): ReadValue {
  switch (attribute.kind) {
    case 'principal':
      return readPrincipal(text);
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return checkIp(text) ?? { form: 'cidr', text };
    case 'destinationPort':
      return readPorts(text);
    case 'host':
      return readHost(text);
    case 'path':
      return readPath(text);
    case 'sni':
      return readText(text.startsWith(REGEX) ? text : text.toLowerCase());
    case 'tls':
      return text === 'true' || text === 'false'
        ? { form: 'exact', text }
        : refuse('PN0317', `Cannot read "${text}": wanted true or false`);
    case 'protocol':
      return PROTOCOLS.includes(text)
        ? { form: 'exact', text }
        : refuse('PN0317', `Cannot read "${text}": wanted one of ${PROTOCOLS.join(', ')}`);
    case 'namespace':
      if (text.includes('/')) return refuse('PN0310', `Cannot read "${text}": a namespace holds no "/"`);
      return readText(text);
    default:
      return readText(text);
  }
}

/** `*` at one end at most. */
export function readText(text: string): ReadValue {
  if (text.startsWith(REGEX)) return readRegex(text.slice(REGEX.length));
  if (text === '*') return { form: 'any' };
  const inner = text.startsWith('*') ? text.slice(1) : text.endsWith('*') ? text.slice(0, -1) : text;
  if (inner.includes('*')) {
    return refuse('PN0317', `Cannot read "${text}": "*" stands at one end only`, `Write ${REGEX} for more`);
  }
  if (text.startsWith('*')) return { form: 'suffix', text: inner };
  return text.endsWith('*') ? { form: 'prefix', text: inner } : { form: 'exact', text };
}

/** `NAME` is one of the policy's own namespace; `NS/*` all of a namespace. */
export function readAccount(text: string, namespace: string | null): ReadValue {
  const parts = text.split('/');
  if (parts.length > 2 || parts.includes('')) {
    return refuse('PN0305', `Cannot read "${text}": found no service account`, 'Write NAME or NAMESPACE/NAME');
  }
  if (parts.length === 1 && namespace === null) {
    return refuse(
      'PN0305',
      `Cannot read "${text}": found no namespace`,
      `Write NAMESPACE/${text}: no namespace is the policy's own`,
    );
  }
  const full = parts.length === 1 ? `${namespace}/${text}` : text;
  if (full.slice(0, -1).includes('*')) return refuse('PN0305', `Cannot read "${text}": "*" stands at the end only`);
  return full.endsWith('*') ? { form: 'prefix', text: full.slice(0, -1) } : { form: 'exact', text: full };
}

/** With its scheme in the document, without in the model. */
function readPrincipal(text: string): ReadValue {
  if (text.startsWith(REGEX)) {
    const pattern = text.slice(REGEX.length);
    if (!pattern.startsWith(SCHEME) || hasOuterAlternative(pattern)) {
      return refuse('PN0307', `Cannot read "${text}": found no ${SCHEME} at its start`, `Write ${REGEX}${SCHEME}(?:...)`);
    }
    return readRegex(pattern.slice(SCHEME.length));
  }
  if (text.startsWith('*')) return readText(text);
  if (text.startsWith(SCHEME) && text.length > SCHEME.length) return readText(text.slice(SCHEME.length));
  return refuse('PN0307', `Cannot read "${text}": found no SPIFFE ID`, `Write ${SCHEME}${text.replace(/^[a-z]+:\/*/, '')}`);
}

/** `8080`, or `8000-8999`. */
function readPorts(text: string): ReadValue {
  const [low = '', high = low, ...rest] = text.split('-');
  const wrong = rest.length > 0 ? checkPort(text) : (checkPort(low) ?? checkPort(high));
  if (wrong !== null) return wrong;
  if (Number(low) > Number(high)) return refuse('PN0303', `Cannot read "${text}": it ends before it begins`);
  return { form: 'range', low: Number(low), high: Number(high) };
}

/** Compared in lower case, and without the dot of the root. */
function readHost(text: string): ReadValue {
  if (text.startsWith(REGEX)) return readText(text);
  const read = readText(text.toLowerCase());
  if (isFault(read) || (read.form !== 'exact' && read.form !== 'suffix')) return read;
  return { ...read, text: read.text.replace(/(?<=.)\.(?=$|:[0-9]*$)/, '') };
}

function readPath(text: string): ReadValue {
  if (text.startsWith(REGEX)) return readText(text);
  const wrong = checkPath(text);
  if (wrong !== null) return wrong;
  if (text.includes('{*}') || text.includes('{**}')) return { form: 'template', text };
  if (!text.startsWith('/') && !text.startsWith('*')) {
    return refuse('PN0317', `Cannot read the path "${text}": found no "/" at its start`, `Write /${text}`);
  }
  return readText(text);
}

function readRegex(pattern: string): ReadValue {
  if (pattern.length > MAX_REGEX)
    return refuse('PN0209', `Cannot read a regular expression: longer than ${MAX_REGEX} characters`);
  try {
    RE2JS.compile(pattern);
    return { form: 'regex', text: pattern };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuse('PN0314', `Cannot read the regular expression "${pattern}": ${why}`, 'Write it in the syntax of RE2');
  }
}

/** Whether `|` stands outside of all groups and classes. */
function hasOuterAlternative(pattern: string): boolean {
  let depth = 0;
  let isInClass = false;
  for (let index = 0; index < pattern.length; index++) {
    const character = pattern[index];
    if (character === '\\') index++;
    else if (isInClass) isInClass = character !== ']';
    else if (character === '[') isInClass = true;
    else if (character === '(') depth++;
    else if (character === ')') depth--;
    else if (character === '|' && depth === 0) return true;
  }
  return false;
}

export function refuse(code: MessageCode, message: string, fix: string | null = null): ValueFault {
  return { code, message, fix };
}

const REGEX = 'regex:';
const SCHEME = 'spiffe://';
const PROTOCOLS = ['http', 'http2', 'grpc', 'tcp'];
const MAX_REGEX = 1024;
