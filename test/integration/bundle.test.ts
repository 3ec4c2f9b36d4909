/** The bundles, laid out as in an image: without sources and without node_modules. */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { statusOf } from '#test/support/http-reader.ts';
import { say, startKeyServer } from '#test/support/key-server.ts';
import { OpaBundles, startOpa } from '#test/support/opa-bundles.ts';
import { peer } from '#test/support/peers.ts';
import { runProcess } from '#test/support/processes.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { figure, policyYaml, startSidecar } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { requestAuthentication, TokenIssuer } from '#test/support/token-issuer.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const image = mkdtempSync(join(tmpdir(), 'postern-image-'));
const postern = join(image, 'bin/postern.js');

beforeAll(async () => {
  for (const part of ['bin', 'package.json']) cpSync(join(ROOT, part), join(image, part), { recursive: true });
  const built = await runProcess(process.execPath, [join(ROOT, 'tools/bundle.ts'), '--dir', join(image, 'dist')], {
    timeoutMs: 60_000,
  });
  if (built.code !== 0) throw new Error(built.stderr);
}, 60_000);

afterAll(() => rmSync(image, { recursive: true }));

test('the bundle knows its version', async () => {
  expect(await runProcess(process.execPath, [postern, 'version', '--short'])).toMatchObject({ code: 0, stdout: '0.1.0\n' });
});

test('the bundle runs by a link, as an installed command does', async () => {
  symlinkSync(postern, join(image, 'postern'));
  expect(await runProcess(process.execPath, [join(image, 'postern'), 'version', '--short'])).toMatchObject({
    code: 0,
    stdout: '0.1.0\n',
  });
});

test('the bundle answers questions', async () => {
  const input = '{"id":1,"in":"spiffe://a.test/x"}\n';
  const { code, stdout } = await runProcess(process.execPath, [postern, 'identity', 'parse'], { input });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ id: 1, ok: true, trustDomain: 'a.test', path: '/x' });
});

test('the data process of the bundle finds its preparer', async () => {
  const { code, stderr } = await runProcess(process.execPath, [postern, 'proxy', '-c', join(image, 'none.yaml')]);
  expect(stderr).toContain('none.yaml');
  expect(code).toBe(78);
});

test('the data process of the bundle finds the process that fetches keys', async () => {
  const idp = new TokenIssuer('https://idp.test');
  const server = keep(await startKeyServer(say(idp.jwks)));
  const upstream = keep(await startUpstream());
  const rule = { issuer: idp.issuer, jwksUri: server.url() };
  const sidecar = keep(
    await startSidecar({
      mesh,
      launcher: postern,
      inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
      spec: { tokens: { privateHosts: ['127.0.0.1'], authorities: server.authorities } },
      policies: { 'users.yaml': requestAuthentication(rule), 'open.yaml': policyYaml('open', { action: 'ALLOW', rules: [{}] }) },
    }),
  );
  await using client = await tlsClient(sidecar.inboundPort, web);
  const ask = async (token: string): Promise<number> =>
    statusOf(await client.ask(`GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`));
  expect([await ask(idp.token()), await ask(new TokenIssuer(idp.issuer).token())]).toEqual([200, 401]);
  figure(`a sidecar of the bundle that proves tokens has ${(sidecar.residentBytes / 1_048_576).toFixed(0)} MiB resident`);
});

test.skipIf(peer('opa') === null)('the data process of the bundle finds its threads', async () => {
  using bundles = new OpaBundles();
  const archive = bundles.build('r1');
  const { sidecar } = await startOpa({}, { 'bundle.tar.gz': archive }, { launcher: postern });
  await using client = await tlsClient(sidecar.inboundPort, web);
  const ask = async (path: string): Promise<number> =>
    statusOf(await client.ask(`GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`));
  expect([await ask('/items/1'), await ask('/other'), await ask('/free')]).toEqual([200, 403, 200]);
  figure(`a sidecar of the bundle with an OPA policy has ${(sidecar.residentBytes / 1_048_576).toFixed(0)} MiB resident`);
});
