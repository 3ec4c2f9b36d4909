/** Runs in the mesh with an identity of its own, wants what is not its own, and says that it is somebody else. */
import { createServer, request } from 'node:http';

const { PORT, ORDERS, LEDGER, CLAIM } = process.env;

createServer((incoming, response) => {
  const { method, url } = incoming;
  const target = url.startsWith('/accounts/') ? LEDGER : ORDERS;
  const headers = { host: 'orders.shop', 'x-forwarded-client-cert': `URI=${CLAIM}` };
  request(`${target}${url}`, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  })
    .on('error', (error) => response.writeHead(502).end(`${error.message}\n`))
    .end();
}).listen(Number(PORT), '127.0.0.1');
