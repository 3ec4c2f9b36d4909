/** Keeps accounts, and speaks a protocol of its own over TCP: a line in, a line out. */
import { createServer } from 'node:net';

createServer((socket) => {
  socket.on('data', (line) => socket.write(`account ${String(line).trim().split(' ')[1]}: 42\n`));
  socket.on('error', () => {});
}).listen(Number(process.env.PORT), '127.0.0.1');
