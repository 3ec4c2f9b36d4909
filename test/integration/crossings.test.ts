/** What must never be mixed up although it looks alike: two services with one identity, and two names of one endpoint. */
import { connect } from 'node:http2';
import { once } from 'node:events';

import { expect, test } from 'vitest';

import { startUpstream, type UpstreamBehaviour } from '#test/support/raw-upstream.ts';
import { startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { keep, mesh } from '#test/support/sidecar-pair.ts';

test('two services behind one identity never get what is meant for the other one', async () => {
  const apps = await Promise.all(['one', 'two'].map(async (name) => keep(await startUpstream(saying(name)))));
  const callees = await Promise.all(
    apps.map(async ({ port }) => keep(await startSidecar({ mesh, inbound: [{ forwardTo: `127.0.0.1:${port}` }] }))),
  );
  const outbound = callees.map((callee) => ({ forwardTo: `127.0.0.1:${callee.inboundPort}`, expect: [mesh.id('app')] }));
  const caller = keep(await startSidecar({ mesh, account: 'web', outbound }));
  const answers = await Promise.all(caller.outbound.map((port) => askMany(port, 150)));
  expect(answers.map((bodies) => [...new Set(bodies)])).toEqual([['one'], ['two']]);
  // The access log is written behind the answers.
  for (const callee of callees)
    await expect.poll(() => callee.log().map((line) => line['protocol']), { timeout: 5000 }).toContain('HTTP/2');
});

test('two names of one endpoint have connections of their own', async () => {
  const app = keep(await startUpstream(saying('it')));
  const callee = keep(await startSidecar({ mesh, inbound: [{ forwardTo: `127.0.0.1:${app.port}` }] }));
  const outbound = ['one.test', 'two.test'].map((sni) => ({
    forwardTo: `127.0.0.1:${callee.inboundPort}`,
    expect: [mesh.id('app')],
    sni,
  }));
  const caller = keep(await startSidecar({ mesh, account: 'web', outbound }));
  await Promise.all(caller.outbound.map((port) => askMany(port, 20)));
  // The access log is written behind the answers: all 40 lines first.
  await expect.poll(() => callee.log().length, { timeout: 5000 }).toBe(40);
  expect(namesAndPeers(callee)).toEqual({ 'one.test': 1, 'two.test': 1 });
});

function saying(text: string): UpstreamBehaviour {
  return {
    onRequest: ({ socket }) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`),
  };
}

/** Asks so often at once over one HTTP/2 connection in the clear; the bodies. */
async function askMany(port: number, times: number): Promise<string[]> {
  const session = connect(`http://127.0.0.1:${port}`);
  const ask = async (): Promise<string> => {
    const stream = session.request({ ':path': '/x', ':authority': 'app.test' });
    let body = '';
    stream.setEncoding('utf8').on('data', (text: string) => (body += text));
    await once(stream, 'end');
    return body;
  };
  const bodies: string[] = [];
  // A peer takes a hundred streams at a time.
  for (let left = times; left > 0; left -= 50)
    bodies.push(...(await Promise.all(Array.from({ length: Math.min(50, left) }, ask))));
  session.close();
  return bodies;
}

/** How many connections came under each name. */
function namesAndPeers(callee: Sidecar): Record<string, number> {
  const peers = new Map<string, Set<string>>();
  for (const line of callee.log()) {
    const name = String(line['requested_server_name']);
    peers.set(name, (peers.get(name) ?? new Set()).add(String(line['downstream_remote_address'])));
  }
  return Object.fromEntries([...peers].map(([name, addresses]) => [name, addresses.size]));
}
