/** A certificate that is on a revocation list: no new connection, and those that are open end. */
import { writeFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { writeRevocationList } from '#certs/x509/write.ts';
import { writePem } from '#certs/x509/pem.ts';
import { statusOf } from '#test/support/http-reader.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { startSidecar } from '#test/support/sidecar.ts';
import { GET, keep, mesh, web } from '#test/support/sidecar-pair.ts';

const other = { mesh, svid: mesh.svid('other') };

test('a peer whose certificate comes onto the list is cut off at once, and others are not', async () => {
  const upstream = keep(await startUpstream({}));
  const sidecar = keep(
    await startSidecar({
      mesh,
      inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
      identityFiles: { revocationLists: { [mesh.trustDomain]: 'revoked.pem' } },
      beforeStart: (folder) => writeFileSync(`${folder}/revoked.pem`, listOf([])),
    }),
  );
  await using mine = await tlsClient(sidecar.inboundPort, web);
  await using theirs = await tlsClient(sidecar.inboundPort, other);
  expect([statusOf(await mine.ask(GET)), statusOf(await theirs.ask(GET))]).toEqual([200, 200]);

  const revokedAt = performance.now();
  sidecar.put('revoked.pem', listOf([web.svid.certificate.serial]));
  await mine.over(3_000);
  const tookMs = performance.now() - revokedAt;
  console.log(`figure: a connection of a revoked certificate ended ${tookMs.toFixed(0)} ms after its list was written`);
  expect(tookMs).toBeLessThan(1_500);
  expect(await sidecar.logged((line) => line['reason'] === 'svid_expired')).toMatchObject({
    detail: 'revoked',
    source_principal: mesh.id('web'),
  });
  const again = await tlsClient(sidecar.inboundPort, web).catch(() => null);
  await again?.over(3_000);
  expect(await sidecar.logged((line) => line['reason'] === 'svid_refused')).toMatchObject({ detail: 'revoked' });
  expect(statusOf(await theirs.ask(GET))).toBe(200);

  // A list that says nothing is not taken for one that lets everybody in.
  sidecar.put('revoked.pem', '');
  await expect.poll(() => sidecar.adminRecord('/identity')).toMatchObject({ fault: 'crl_malformed' });
  const still = await tlsClient(sidecar.inboundPort, web).catch(() => null);
  await still?.over(3_000);
  expect(statusOf(await theirs.ask(GET))).toBe(200);
});

function listOf(serials: readonly Buffer[]): string {
  const atMs = Date.now();
  const { certificate, key } = mesh.authority;
  const der = writeRevocationList({
    issuer: certificate.subject,
    thisUpdateMs: atMs,
    nextUpdateMs: atMs + 3_600_000,
    revoked: serials.map((serial) => ({ serial, atMs })),
    signer: key,
  });
  return writePem('X509 CRL', der);
}
