/** Keeps accounts. */
import { createServer } from 'node:http';

createServer((incoming, response) => {
  const account = incoming.url.split('/')[2];
  const caller = incoming.headers['x-forwarded-client-cert'];
  response.setHeader('content-type', 'application/json');
  response.end(`${JSON.stringify({ account, balance: 42, caller })}\n`);
}).listen(Number(process.env.PORT), '127.0.0.1');
