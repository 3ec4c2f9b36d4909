import { describe, expect, test } from 'vitest';

import { DEFAULT_HEAD_LIMITS, RequestHead, ResponseHead } from '../h1/head.ts';
import { parseRequestHead } from '../h1/request.ts';
import { parseResponseHead } from '../h1/response.ts';
import { acceptanceFault, acceptOf, dropHandshakeFields, readExtendedConnect, readHandshake } from './handshake.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const GOOD = {
  Host: 'a',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': KEY,
  'Sec-WebSocket-Version': '13',
} as const;

function request(fields: Readonly<Record<string, string | null>>, start = 'GET /chat HTTP/1.1', more = ''): RequestHead {
  const lines = Object.entries({ ...GOOD, ...fields }).filter(([, value]) => value !== null);
  const bytes = Buffer.from(`${start}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}${more}\r\n`, 'latin1');
  const head = new RequestHead();
  expect(parseRequestHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS)).toBe(bytes.length);
  return head;
}

function response(text: string): ResponseHead {
  const bytes = Buffer.from(`${text}\r\n\r\n`, 'latin1');
  const head = new ResponseHead();
  expect(parseResponseHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS, 'GET')).toBe(bytes.length);
  return head;
}

test('acceptOf() gives the sample of RFC 6455, section 1.3', () => {
  expect(acceptOf(KEY)).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
});

describe('readHandshake()', () => {
  test.each([
    { why: 'as in the RFC', head: request({}) },
    { why: 'in other cases, among other options', head: request({ Upgrade: 'WebSocket', Connection: 'keep-alive, UPGRADE' }) },
    { why: 'with a length of nothing', head: request({}, 'GET / HTTP/1.1', 'Content-Length: 0\r\n') },
  ])('takes one $why', ({ head }) => {
    expect(readHandshake(head)).toEqual({ ok: true, key: KEY });
  });

  test.each([
    { why: 'another protocol', fields: { Upgrade: 'h2c' }, fault: 'protocol' },
    { why: 'a choice of protocols', fields: { Upgrade: 'websocket, h2c' }, fault: 'protocol' },
    { why: 'two Upgrade fields', fields: {}, more: 'Upgrade: websocket\r\n', fault: 'protocol' },
    { why: 'HTTP/1.0', fields: {}, start: 'GET / HTTP/1.0', fault: 'protocol' },
    { why: 'POST', fields: {}, start: 'POST / HTTP/1.1', fault: 'method' },
    { why: 'no Connection option', fields: { Connection: 'keep-alive' }, fault: 'connection' },
    { why: 'an option that only begins so', fields: { Connection: 'upgrades' }, fault: 'connection' },
    { why: 'version 777', fields: { 'Sec-WebSocket-Version': '777' }, fault: 'version' },
    { why: 'version 013', fields: { 'Sec-WebSocket-Version': '013' }, fault: 'version' },
    { why: 'no version', fields: { 'Sec-WebSocket-Version': null }, fault: 'version' },
    { why: 'two versions', fields: {}, more: 'Sec-WebSocket-Version: 13\r\n', fault: 'version' },
    { why: 'no key', fields: { 'Sec-WebSocket-Key': null }, fault: 'key' },
    { why: 'two keys', fields: {}, more: `Sec-WebSocket-Key: ${KEY}\r\n`, fault: 'key' },
    { why: 'a key of 15 bytes', fields: { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25j' }, fault: 'key' },
    { why: 'a key that is no base64', fields: { 'Sec-WebSocket-Key': '!!hlIHNhbXBsZSBub25jZQ==' }, fault: 'key' },
    { why: 'a body of a length', fields: {}, more: 'Content-Length: 5\r\n', fault: 'body' },
    { why: 'a body in chunks', fields: {}, more: 'Transfer-Encoding: chunked\r\n', fault: 'body' },
  ])('refuses $why', ({ fields, start, more, fault }) => {
    expect(readHandshake(request(fields, start, more))).toEqual({ ok: false, fault });
  });
});

test.each([
  { version: '13', fault: null },
  { version: '8', fault: 'version' },
  { version: null, fault: 'version' },
])('readExtendedConnect() of version $version', ({ version, fault }) => {
  expect(readExtendedConnect(request({ 'Sec-WebSocket-Version': version }))).toBe(fault);
});

const ACCEPT = `Sec-WebSocket-Accept: ${acceptOf(KEY)}`;
test.each([
  { why: 'as in the RFC', text: `Upgrade: websocket\r\nConnection: Upgrade\r\n${ACCEPT}`, fault: null },
  { why: 'another protocol', text: `Upgrade: h2c\r\nConnection: Upgrade\r\n${ACCEPT}`, fault: 'protocol' },
  { why: 'no protocol', text: `Connection: Upgrade\r\n${ACCEPT}`, fault: 'protocol' },
  { why: 'no option', text: `Upgrade: websocket\r\n${ACCEPT}`, fault: 'connection' },
  { why: 'no accept', text: 'Upgrade: websocket\r\nConnection: Upgrade', fault: 'accept' },
  { why: 'two accepts', text: `Upgrade: websocket\r\nConnection: Upgrade\r\n${ACCEPT}\r\n${ACCEPT}`, fault: 'accept' },
  {
    why: 'a wrong accept',
    text: 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=',
    fault: 'accept',
  },
])('acceptanceFault() of $why', ({ text, fault }) => {
  expect(acceptanceFault(response(`HTTP/1.1 101 Switching Protocols\r\n${text}`), KEY)).toBe(fault);
});

test('dropHandshakeFields() leaves what passes end to end', () => {
  const head = request({ 'Sec-WebSocket-Protocol': 'chat', 'Sec-WebSocket-Extensions': 'permessage-deflate' });
  dropHandshakeFields(head);
  const { count, dropped, ranges } = head.fields;
  const kept: string[] = [];
  for (let index = 0; index < count; index++) {
    if (dropped[index] === 0) kept.push(head.bytes.toString('latin1', ranges[4 * index], ranges[4 * index + 1]));
  }
  expect(kept).toEqual(['Host', 'Upgrade', 'Connection', 'Sec-WebSocket-Protocol', 'Sec-WebSocket-Extensions']);
});
