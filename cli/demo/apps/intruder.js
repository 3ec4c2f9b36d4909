/** Runs in the mesh with an identity of its own, wants what is not its own, and says that it is somebody else. */
import { createServer, request } from 'node:http';
import { connect } from 'node:net';

const { PORT, ORDERS, LEDGER, CLAIM } = process.env;

createServer((incoming, response) => {
  const { method, url } = incoming;
  if (url.startsWith('/accounts/')) return askLedger(url.split('/')[2], response);
  const headers = { host: 'orders.shop', 'x-forwarded-client-cert': `URI=${CLAIM}` };
  request({ host: '127.0.0.1', port: Number(ORDERS), path: url, method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  })
    .on('error', (error) => response.writeHead(502).end(`${error.message}\n`))
    .end();
}).listen(Number(PORT), '127.0.0.1');

function askLedger(account, response) {
  const ledger = connect(Number(LEDGER), '127.0.0.1', () => ledger.write(`balance ${account}\n`));
  ledger.on('data', (line) => response.end(line));
  ledger.on('error', () => {}).on('close', () => response.headersSent || response.writeHead(502).end('ledger hung up\n'));
}
