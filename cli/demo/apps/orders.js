/** Keeps orders, and asks ledger for their invoices. It says who called, because it is told, and never asks who may. */
import { createServer, get } from 'node:http';

const { PORT, LEDGER } = process.env;

createServer((incoming, response) => {
  const { method, url, rawHeaders } = incoming;
  const [, , order, part] = url.split('/');
  const caller = incoming.headers['x-forwarded-client-cert'];
  if (method !== 'GET') return answer(response, { order, method, caller });
  if (part !== 'invoice') return answer(response, { order, caller, received: rawHeaders });
  get(`${LEDGER}/accounts/${order}`, { headers: { host: 'ledger.shop' } }, (account) => {
    let text = '';
    account.on('data', (bytes) => (text += bytes));
    account.on('end', () => answer(response, { order, caller, status: account.statusCode, ledgerSays: text }));
  }).on('error', (error) => response.writeHead(502).end(`ledger does not answer: ${error.message}\n`));
}).listen(Number(PORT), '127.0.0.1');

function answer(response, body) {
  response.setHeader('content-type', 'application/json');
  response.end(`${JSON.stringify(body)}\n`);
}
