/**
 * Under which uid the process at the other end of a loopback connection runs, from the kernel's connection table (Linux). Used on
 * accept of an outbound listener with `allowUids`; costs a walk over the table.
 */
import { readFileSync } from 'node:fs';
import { tableAddress } from './socket-table.ts';

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
  const wanted = `${tableAddress(peerAddress, peerPort)} ${tableAddress(localAddress, localPort)}`;
  const at = table.indexOf(wanted);
  if (at < 0) return null;
  const end = table.indexOf('\n', at);
  const columns = table.slice(at, end).trim().split(/\s+/);
  // A socket that its process has closed belongs to nobody, and the kernel shows it as root's.
  if (!(Number(columns[INODE_COLUMN]) > 0)) return null;
  const uid = Number(columns[UID_COLUMN]);
  return Number.isInteger(uid) ? uid : null;
}

/** Counted from the row's local address: local, remote, state, queues, timer, retransmits, uid, timeout, inode. */
const UID_COLUMN = 6;
const INODE_COLUMN = 8;
