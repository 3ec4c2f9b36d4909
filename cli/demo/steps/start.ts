/** From nothing to a mesh that answers: authority, apps, sidecars. */
import { readFileSync } from 'node:fs';

import { z } from 'zod';

import { askSidecar } from '../../admin-client.ts';
import type { Mesh } from '../mesh.ts';
import { appFile } from '../places.ts';
import type { Story } from '../story.ts';
import { TRUST_DOMAIN, filesOf, programsOf } from '../topology.ts';

export async function start(mesh: Mesh, story: Story): Promise<void> {
  const began = performance.now();
  mesh.startSidecars();
  mesh.startApps();
  tellAuthority(mesh, story);
  await tellApps(mesh, story);
  await tellSidecars(mesh, story, began);
}

function tellAuthority(mesh: Mesh, story: Story): void {
  const certificates = [...mesh.svids.values()].map(({ certificate }) => certificate.x509);
  const root = mesh.identities.root.certificate.x509;
  const curves = new Set([root, ...certificates].map(({ publicKey }) => publicKey.asymmetricKeyDetails?.namedCurve ?? 'none'));
  const signed = certificates.filter((each) => each.checkIssued(root) && each.verify(root.publicKey)).length;
  const curve = [...curves].join(', ');
  const minutes = Math.round(((certificates[0]?.validToDate.getTime() ?? 0) - Date.now()) / 60_000);
  story.fact({
    text: `authority of ${TRUST_DOMAIN} made for this run: ${signed} SVIDs signed (${curve === 'prime256v1' ? 'P-256' : curve}), valid for ${minutes} min`,
    isTrue: curve === 'prime256v1' && signed === mesh.all.length && minutes > 0,
    wanted: `${mesh.all.length} SVIDs on prime256v1, signed by the root`,
    seen: `${signed} signed, curves ${curve}`,
  });
}

async function tellApps(mesh: Mesh, story: Story): Promise<void> {
  const programs = mesh.all.flatMap((workload) => programsOf(workload).map((each) => ({ ...each, by: workload.name })));
  await Promise.all(programs.map(({ port, by }) => mesh.listens(port, mesh.app(by))));
  const apps = programs.map(({ program }) => ({ name: program, text: readFileSync(appFile(program), 'utf8') }));
  const lines = apps.map(({ name, text }) => `${name} ${text.split('\n').length - 1}`);
  const isPlain = apps.every(({ text }) => text.split('\n').length <= 31 && !/node:(?:tls|https|crypto)/u.test(text));
  story.fact({
    text: `${apps.length} apps run, plain HTTP, WebSocket, gRPC and TCP without TLS or authorization; lines of code: ${lines.join(', ')}`,
    isTrue: isPlain && mesh.all.every(({ name }) => mesh.app(name).child.exitCode === null),
    wanted: 'five apps of at most 30 lines that run and import neither tls nor crypto',
    seen: lines.join(', '),
  });
}

async function tellSidecars(mesh: Mesh, story: Story, began: number): Promise<void> {
  await Promise.all(mesh.all.map(({ name, statusPort }) => mesh.answers(statusPort, '/healthz/ready', mesh.sidecar(name))));
  const pids = mesh.all.map(({ name }) => mesh.sidecar(name).pid).join(', ');
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  const ids = await Promise.all(mesh.all.map(async (each) => (await identityOf(filesOf(each).admin)).spiffeId));
  const wanted = mesh.all.map(({ spiffeId }) => spiffeId);
  story.fact({
    text: `${ids.length} sidecars ready after ${seconds} s, a process each (${pids}), the first as ${ids[0] ?? 'nobody'}`,
    isTrue: ids.join() === wanted.join(),
    wanted: wanted.join(', '),
    seen: ids.join(', '),
  });
}

/** What a sidecar says of its identity. */
export async function identityOf(admin: string): Promise<z.output<typeof identitySchema>> {
  return identitySchema.parse(await askSidecar(admin, '/identity'));
}

const identitySchema = z.object({ spiffeId: z.string().nullable(), serial: z.string().optional() });
