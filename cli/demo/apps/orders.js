/** Keeps orders, asks ledger for their invoices, and lets them be watched by WebSocket. It never asks who may. */
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { WebSocketServer } from 'ws';

const { PORT, LEDGER } = process.env;

const server = createServer((incoming, response) => {
  const { method, url, rawHeaders } = incoming;
  const [, , order, part] = url.split('/');
  const caller = incoming.headers['x-forwarded-client-cert'];
  if (method !== 'GET') return answer(response, { order, method, caller });
  if (part !== 'invoice') return answer(response, { order, caller, received: rawHeaders });
  const ledger = connect(Number(LEDGER), '127.0.0.1', () => ledger.write(`balance ${order}\n`));
  ledger.on('data', (line) => answer(response, { order, caller, ledgerSays: String(line).trim() }) ?? ledger.end());
  ledger.on('error', (error) => response.writeHead(502).end(`ledger does not answer: ${error.message}\n`));
}).listen(Number(PORT), '127.0.0.1');

new WebSocketServer({ server }).on('connection', (socket, { url }) => {
  const timer = setInterval(() => socket.send(`${url}: on its way`), 100);
  socket.on('close', () => clearInterval(timer)).on('error', () => {});
});

function answer(response, body) {
  response.setHeader('content-type', 'application/json');
  response.end(`${JSON.stringify(body)}\n`);
}
