/** The shop's front: hands each call on to orders, and the answer back. It knows plain HTTP and one address. */
import { createServer, request } from 'node:http';

const { PORT, ORDERS } = process.env;

createServer((incoming, response) => {
  const { method, url, headers } = incoming;
  const to = { host: '127.0.0.1', port: Number(ORDERS), path: url, method, headers: { ...headers, host: 'orders.shop' } };
  const call = request(to, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  call.on('error', (error) => response.writeHead(502).end(`orders does not answer: ${error.message}\n`));
  incoming.pipe(call);
}).listen(Number(PORT), '127.0.0.1');
