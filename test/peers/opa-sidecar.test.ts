/**
 * A sidecar with an OPA policy beside the real OPA: what the sidecar decided is asked of OPA again by the inputs of the decision log, and
 * the log's events have the members of OPA's own, of the same types.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { opaExec } from '#test/conformance/opa/opa.ts';
import { freePort } from '#test/support/free-port.ts';
import { h2TlsClient, head } from '#test/support/h2-client.ts';
import { statusOf } from '#test/support/http-reader.ts';
import { linesOf, OpaBundles, startOpa } from '#test/support/opa-bundles.ts';
import { peer, requirePeer } from '#test/support/peers.ts';
import { startProcess } from '#test/support/processes.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { eventually, type Settings } from '#test/support/sidecar.ts';
import { web } from '#test/support/sidecar-pair.ts';

const DENIALS: readonly string[] = ['opa_undefined', 'opa_conflict', 'opa_result_type'];

describe.skipIf(peer('opa') === null)('the real OPA', { timeout: 90_000 }, () => {
  test.each(['wasm', 'plan'] as const)('decides the inputs of the decision log as the sidecar did (%s)', async (kind) => {
    using made = new OpaBundles(kind);
    const archive = made.build('r1');
    const settings = { decisionLog: 'decisions.log', includeRequestBodyInCheck: { maxRequestBytes: 1_000 }, erase: [] };
    const { sidecar } = await startOpa(settings, { 'bundle.tar.gz': archive });
    const statuses = new Map<string, number>();
    const lines = [
      'GET /items/7',
      'GET /items/7?q=a%20b',
      'GET //items/1',
      'GET /items/%61',
      'GET /items/a%2Fb',
      'GET /items/a/b',
    ];
    lines.push('DELETE /items/7', 'HEAD /items/7', 'GET /who', 'GET /who?x', 'GET /odd', 'GET /conflict', 'GET /', 'GET /items/');
    for (const line of lines) {
      await using client = await tlsClient(sidecar.inboundPort, web);
      const answer = await client.ask(`${line} HTTP/1.1\r\nHost: App.test\r\nX-One: 1\r\nX-One: 2\r\nCookie: a=b\r\n\r\n`);
      statuses.set(line, statusOf(answer));
    }
    for (const body of ['{"amount":99}', '{"amount":100}', '{"amount":"1"}', '[]', '{"amount":1e2}', '{"amount":99.5}', 'null']) {
      await using client = await tlsClient(sidecar.inboundPort, web);
      const request = `POST /items?${body.length} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      statuses.set(body, statusOf(await client.ask(request)));
    }
    await using h2 = await h2TlsClient(sidecar.inboundPort, web);
    statuses.set('h2', (await h2.ask(head('GET', '/items/7', [['x-one', '1']]))).status);
    await eventually('the events', () => linesOf(sidecar, 'decisions.log').length === statuses.size);

    const events = linesOf(sidecar, 'decisions.log');
    const folder = join(made.root, 'asked');
    mkdirSync(folder);
    // The binary has no engine for modules: it evaluates the sources that are in the bundle as well.
    using sources = new OpaBundles('plan');
    writeFileSync(join(folder, 'bundle.tar.gz'), sources.build('r1'));
    const verdicts = opaExec(
      join(folder, 'bundle.tar.gz'),
      'envoy/authz/allow',
      events.map((event) => event['input']),
      folder,
    );
    const differing = events.flatMap((event, i) => {
      const verdict = verdicts[i];
      const { code } = (event['error'] ?? {}) as { readonly code?: string }; // as decisionEvent() has it
      const ours = code === undefined ? { value: event['result'] } : code === 'opa_conflict' ? 'error' : code;
      return JSON.stringify(sorted(ours)) === JSON.stringify(sorted(verdict)) ? [] : [{ event, verdict }];
    });
    expect(differing).toEqual([]);
    const allowed = [...statuses.values()].filter((status) => status === 200).length;
    expect(allowed).toBeGreaterThan(0.3 * statuses.size);
    expect(allowed).toBeLessThan(0.7 * statuses.size);
    const codes = new Set(sidecar.log().map((line) => String(line['decision_code'])));
    expect([...codes].filter((code) => DENIALS.includes(code)).length).toBeGreaterThan(1);
  });

  test('writes decision log events of the same members', async () => {
    using made = new OpaBundles('plan');
    const archive = made.build('r1');
    const { sidecar } = await startOpa({ decisionLog: 'decisions.log' }, { 'bundle.tar.gz': archive });
    await using client = await tlsClient(sidecar.inboundPort, web);
    const traced = 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n';
    await client.ask(`GET /items/1 HTTP/1.1\r\nHost: a\r\n${traced}Authorization: Bearer x\r\n\r\n`);
    await eventually('the event', () => linesOf(sidecar, 'decisions.log').length === 1);
    const ours = linesOf(sidecar, 'decisions.log')[0] ?? {};

    const file = join(made.root, 'served.tar.gz');
    writeFileSync(file, archive);
    const port = await freePort();
    const args = [
      'run',
      '--server',
      '--addr',
      `127.0.0.1:${port}`,
      '--set',
      'decision_logs.console=true',
      '--log-format',
      'json',
      '-b',
      file,
    ];
    await using opa = startProcess(requirePeer('opa'), args, { env: { HOME: made.root } });
    await opa.waitForPort(port, 30_000);
    const response = await fetch(`http://127.0.0.1:${port}/v1/data/envoy/authz/allow`, {
      method: 'POST',
      body: JSON.stringify({ input: ours['input'] }),
    });
    expect(((await response.json()) as Settings)['result']).toEqual(ours['result']); // OPA's data API
    const logged = (): Settings | undefined =>
      opa.stderr
        .split('\n')
        .filter((line) => line.includes('"Decision Log"'))
        .map((line) => JSON.parse(line) as Settings)[0]; // OPA's log of objects
    await eventually('its event', () => logged() !== undefined);
    const theirs = logged() ?? {};
    for (const member of ['decision_id', 'labels', 'path', 'input', 'result', 'requested_by', 'timestamp', 'metrics']) {
      expect([member, typeof theirs[member]]).toEqual([member, typeof ours[member]]);
    }
    expect(ours).toMatchObject({
      path: theirs['path'],
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      span_id: 'b7ad6b7169203331',
    });
  });
});

/** Members of objects in an order that does not depend on who wrote them. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, sorted(member)]),
  );
}
