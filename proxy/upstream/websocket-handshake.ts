/** Our own WebSocket handshake with an upstream that speaks HTTP/1.1 (RFC 6455, section 4.1). */
import { randomBytes } from 'node:crypto';
import type { ResponseHead } from '#wire/h1/head.ts';
import { acceptanceFault, dropHandshakeFields } from '#wire/websocket/handshake.ts';

/** Makes a key for a handshake. */
export function handshakeKey(): string {
  return randomBytes(16).toString('base64');
}

/** The lines of the handshake, each with its CRLF; at most 120 bytes. */
export function handshakeLines(key: string): string {
  return `connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n`;
}

/** Why a 101 is no answer to the handshake made with `key`, or null. The fields that answered it end here. */
export function switchFault(head: ResponseHead, key: string): string | null {
  if (key === '') return 'unasked_101';
  const fault = acceptanceFault(head, key);
  if (fault !== null) return `101_${fault}`;
  dropHandshakeFields(head);
  return null;
}
