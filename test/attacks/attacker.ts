/**
 * The attacker's process: runs one attack over some connections for a time, each opened anew as soon as it is closed, and prints what
 * that cost it.
 *
 *     node test/attacks/attacker.ts '{"name":…,"port":…,"certificate":…,"key":…,"connections":4,"seconds":1}'
 */
import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';

import { ATTACKS, type Attack } from './h2-attacks.ts';

export interface AttackOrder {
  readonly name: string;
  readonly port: number;
  /** Files. */
  readonly certificate: string;
  readonly key: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface AttackCost {
  readonly cpuMs: number;
  readonly opened: number;
  readonly closed: number;
  readonly mebibytes: number;
}

function run(order: AttackOrder): void {
  const attack = ATTACKS.find(({ name }) => name === order.name);
  if (attack === undefined) throw new Error(`Cannot attack by "${order.name}": it is no attack`);
  const cert = readFileSync(order.certificate);
  const key = readFileSync(order.key);
  let opened = 0;
  let closed = 0;
  let bytes = 0;
  let isOver = false;
  const sockets = new Set<TLSSocket>();

  const open = (): void => {
    const socket = connect({ host: '127.0.0.1', port: order.port, cert, key, ALPNProtocols: ['h2'], rejectUnauthorized: false });
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.once('secureConnect', () => {
      opened++;
      drive(socket, attack, () => isOver);
    });
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.once('close', () => {
      sockets.delete(socket);
      bytes += socket.bytesWritten;
      closed++;
      if (!isOver) setTimeout(open, 1);
    });
  };
  for (let i = 0; i < order.connections; i++) open();

  setTimeout(() => {
    isOver = true;
    const closedByPeer = closed;
    for (const socket of sockets) socket.destroy();
    const { user, system } = process.cpuUsage();
    const cost: AttackCost = { cpuMs: (user + system) / 1000, opened, closed: closedByPeer, mebibytes: bytes / 2 ** 20 };
    process.stdout.write(`${JSON.stringify(cost)}\n`, () => process.exit(0));
  }, order.seconds * 1000);
}

/** Sends an attack's bytes until the connection is gone. */
function drive(socket: TLSSocket, attack: Attack, isOver: () => boolean): void {
  socket.write(attack.first);
  const { again, pauseMs } = attack;
  if (again === null) return;
  let round = 0;
  const next = (): void => {
    if (socket.destroyed || isOver()) return;
    const bytes = again(round++);
    const goesOn = bytes.length === 0 || socket.write(bytes);
    if (pauseMs > 0) setTimeout(next, pauseMs);
    else if (goesOn) setImmediate(next);
    else socket.once('drain', next);
  };
  next();
}

// What the test that started us wrote.
run(JSON.parse(process.argv[2] ?? '{}') as AttackOrder);
