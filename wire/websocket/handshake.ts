/**
 * The opening handshake of WebSocket (RFC 6455, section 4; over HTTP/2 RFC 8441, section 5): what makes a request one, and what makes
 * an answer its acceptance. Fields are only read; nothing is repaired, and a list of protocols to choose from is none.
 */
import { createHash } from 'node:crypto';

import { COMMA, HTAB, SP } from '../h1/characters.ts';
import { equalsName, nameBytes } from '../h1/field-names.ts';
import { FIELD, FRAMING, type FieldTable, type MessageHead, type RequestHead, type ResponseHead } from '../h1/head.ts';

/** Why a request is no handshake that we take. `protocol`: it asks for something else, or for a choice. */
export type HandshakeFault = 'protocol' | 'method' | 'connection' | 'version' | 'key' | 'body';

/** Why a 101 is no acceptance of ours. */
export type AcceptanceFault = 'protocol' | 'connection' | 'accept';

export type Handshake = { readonly ok: true; readonly key: string } | { readonly ok: false; readonly fault: HandshakeFault };

/** Judges a request of HTTP/1.x that has an Upgrade field (RFC 6455, section 4.2.1). */
export function readHandshake(head: RequestHead): Handshake {
  const { bytes, fields } = head;
  if (head.minor !== 1 || !isOnly(bytes, fields, FIELD.upgrade, WEBSOCKET)) return { ok: false, fault: 'protocol' };
  if (head.method !== 'GET') return { ok: false, fault: 'method' };
  if (!hasOption(bytes, fields)) return { ok: false, fault: 'connection' };
  if (hasBody(head)) return { ok: false, fault: 'body' };
  if (!isVersion13(head)) return { ok: false, fault: 'version' };
  const key = onlyValue(head, KEY) ?? '';
  return KEY_FORM.test(key) ? { ok: true, key } : { ok: false, fault: 'key' };
}

/** Judges an extended CONNECT whose `:protocol` is websocket (RFC 8441, section 5): it has neither key nor hop-by-hop fields. */
export function readExtendedConnect(head: RequestHead): HandshakeFault | null {
  return isVersion13(head) ? null : 'version';
}

/** Judges a 101 to a handshake that was made with `key` (RFC 6455, section 4.1). */
export function acceptanceFault(head: ResponseHead, key: string): AcceptanceFault | null {
  const { bytes, fields } = head;
  if (head.minor !== 1 || !isOnly(bytes, fields, FIELD.upgrade, WEBSOCKET)) return 'protocol';
  if (!hasOption(bytes, fields)) return 'connection';
  return onlyValue(head, ACCEPT) === acceptOf(key) ? null : 'accept';
}

/** Marks the fields that belong to one connection's handshake: whoever forwards writes its own. */
export function dropHandshakeFields(head: MessageHead): void {
  const { bytes, fields } = head;
  const { count, ranges, dropped } = fields;
  for (let index = 0; index < count; index++) {
    const start = ranges[index << 2] ?? 0;
    const end = ranges[(index << 2) + 1] ?? 0;
    if (OWN_FIELDS.some((name) => equalsName(bytes, start, end, name))) dropped[index] = 1;
  }
}

/** `Sec-WebSocket-Accept` for a key. */
export function acceptOf(key: string): string {
  return createHash('sha1').update(key, 'latin1').update(GUID, 'latin1').digest('base64');
}

function isVersion13(head: RequestHead): boolean {
  return onlyValue(head, VERSION) === '13';
}

function hasBody(head: RequestHead): boolean {
  return head.framing === FRAMING.chunked || head.contentLength > 0;
}

/** The value of the one field of that name; null when there is none, or two. */
function onlyValue(head: MessageHead, name: Uint8Array): string | null {
  const { bytes, fields } = head;
  const { count, ranges } = fields;
  let found: string | null = null;
  for (let index = 0; index < count; index++) {
    const entry = index << 2;
    if (!equalsName(bytes, ranges[entry] ?? 0, ranges[entry + 1] ?? 0, name)) continue;
    if (found !== null) return null;
    found = bytes.toString('latin1', ranges[entry + 2] ?? 0, ranges[entry + 3] ?? 0);
  }
  return found;
}

/** Whether there is one field of this id and its value is `word`. */
function isOnly(bytes: Buffer, fields: FieldTable, id: number, word: Uint8Array): boolean {
  const { count, ids, ranges } = fields;
  let found = 0;
  for (let index = 0; index < count; index++) {
    if (ids[index] !== id) continue;
    const entry = index << 2;
    if (!equalsName(bytes, ranges[entry + 2] ?? 0, ranges[entry + 3] ?? 0, word)) return false;
    found++;
  }
  return found === 1;
}

/** Whether Connection has the option `upgrade`; the parser has found each value to be a list of tokens. */
function hasOption(bytes: Buffer, fields: FieldTable): boolean {
  const { count, ids, ranges } = fields;
  for (let field = 0; field < count; field++) {
    if (ids[field] !== FIELD.connection) continue;
    const end = ranges[(field << 2) + 3] ?? 0;
    let index = ranges[(field << 2) + 2] ?? 0;
    while (index < end) {
      const start = index;
      while (index < end && !isSeparator(bytes[index] ?? 0)) index++;
      if (equalsName(bytes, start, index, UPGRADE)) return true;
      index++;
    }
  }
  return false;
}

function isSeparator(byte: number): boolean {
  return byte === COMMA || byte === SP || byte === HTAB;
}

/** RFC 6455, section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Sixteen bytes in base64. */
const KEY_FORM = /^[A-Za-z0-9+/]{22}==$/;
const WEBSOCKET = nameBytes('websocket');
const UPGRADE = nameBytes('upgrade');
const KEY = nameBytes('sec-websocket-key');
const ACCEPT = nameBytes('sec-websocket-accept');
const VERSION = nameBytes('sec-websocket-version');
const OWN_FIELDS = [KEY, ACCEPT, VERSION];
