/**
 * Under which uid the process at the other end of a loopback connection runs, from the kernel's connection table (Linux). Used on
 * accept of an outbound listener with `allowUids`; costs a walk over the table.
 */
import { readFileSync } from 'node:fs';

/** The uid that owns the peer's socket, or null when the kernel does not list it. */
export function peerUid(peerAddress: string, peerPort: number, localAddress: string, localPort: number): number | null {
  const isV6 = peerAddress.includes(':');
  let table: string;
  try {
    table = readFileSync(isV6 ? '/proc/self/net/tcp6' : '/proc/self/net/tcp', 'latin1');
  } catch {
    return null;
  }
  // The peer's own row: its local side is our remote side.
  const wanted = `${hexAddress(peerAddress, peerPort)} ${hexAddress(localAddress, localPort)}`;
  const at = table.indexOf(wanted);
  if (at < 0) return null;
  const end = table.indexOf('\n', at);
  const columns = table.slice(at, end).trim().split(/\s+/);
  // A socket that its process has closed belongs to nobody, and the kernel shows it as root's.
  if (!(Number(columns[INODE_COLUMN]) > 0)) return null;
  const uid = Number(columns[UID_COLUMN]);
  return Number.isInteger(uid) ? uid : null;
}

/** `0100007F:1F90`: each 32-bit word of the address in host order, which is little-endian here. */
function hexAddress(address: string, port: number): string {
  const words = address.includes(':') ? v6Bytes(address) : address.split('.').map(Number);
  let hex = '';
  for (let word = 0; word < words.length; word += 4) {
    for (let byte = 3; byte >= 0; byte--) hex += (words[word + byte] ?? 0).toString(16).padStart(2, '0');
  }
  return `${hex}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}

function v6Bytes(address: string): number[] {
  const [front = '', back = ''] = address.split('::');
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => parseInt(group, 16)));
  const head = groups(front);
  const tail = groups(back);
  const gap = address.includes('::') ? Array.from({ length: 8 - head.length - tail.length }, () => 0) : [];
  return [...head, ...gap, ...tail].flatMap((group) => [group >> 8, group & 255]);
}

/** Counted from the row's local address: local, remote, state, queues, timer, retransmits, uid, timeout, inode. */
const UID_COLUMN = 6;
const INODE_COLUMN = 8;
