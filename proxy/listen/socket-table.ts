/** The kernel's tables of sockets under /proc (Linux): which addresses are listened on, and how they are written there. */
import { readFileSync } from 'node:fs';

/** `0100007F:1F90`: each 32-bit word of the address in host order, which is little-endian here. */
export function tableAddress(address: string, port: number): string {
  const words = address.includes(':') ? v6Bytes(address) : address.split('.').map(Number);
  let hex = '';
  for (let word = 0; word < words.length; word += 4) {
    for (let byte = 3; byte >= 0; byte--) hex += (words[word + byte] ?? 0).toString(16).padStart(2, '0');
  }
  return `${hex}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}

/** Local address of each listening TCP socket, by inode. */
export function tcpListeners(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const table of ['tcp', 'tcp6']) {
    for (const [, local = '', , state, , , , , , inode = ''] of rowsOf(table)) if (state === LISTENING) found.set(inode, local);
  }
  return found;
}

/** Path of each Unix socket that has one, by inode. */
export function unixSockets(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [, , , , , , inode = '', path] of rowsOf('unix')) if (path !== undefined) found.set(inode, path);
  return found;
}

function rowsOf(table: string): string[][] {
  const lines = readFileSync(`/proc/self/net/${table}`, 'latin1').split('\n').slice(1);
  return lines.map((line) => line.trim().split(/\s+/u));
}

function v6Bytes(address: string): number[] {
  const [front = '', back = ''] = address.split('::');
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => parseInt(group, 16)));
  const head = groups(front);
  const tail = groups(back);
  const gap = address.includes('::') ? Array.from({ length: 8 - head.length - tail.length }, () => 0) : [];
  return [...head, ...gap, ...tail].flatMap((group) => [group >> 8, group & 255]);
}

const LISTENING = '0A';
