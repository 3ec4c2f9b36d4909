/** Who is in the mesh of the demo, who may call whom by which sidecar, and where each of them listens. No I/O. */
import { join } from 'node:path';

export const TRUST_DOMAIN = 'demo.mesh';
export const FOREIGN_TRUST_DOMAIN = 'other.mesh';

/** An app and the sidecar beside it. */
export interface Workload {
  readonly name: WorkloadName;
  readonly spiffeId: string;
  /** Holds the sidecar's file and everything that the file names. */
  readonly folder: string;
  readonly appPort: number;
  readonly statusPort: number;
  /** The mTLS port of the sidecar; null when nobody is to call this workload. */
  readonly inboundPort: number | null;
  readonly outbound: readonly Outbound[];
}

/** Where an app reaches a peer: a plaintext port of its own sidecar. */
export interface Outbound {
  readonly to: WorkloadName;
  readonly port: number;
}

export type WorkloadName = (typeof SHAPE)[number]['name'];
export type Topology = Readonly<Record<WorkloadName, Workload>>;

/** Lays the mesh out on `portCount()` free ports. */
export function layOut(folder: string, ports: readonly number[]): Topology {
  let next = 0;
  const port = (): number => ports[next++] ?? 0;
  const workloads = SHAPE.map(({ name, isCalled, calls }): readonly [WorkloadName, Workload] => [
    name,
    {
      name,
      spiffeId: spiffeIdOf(name),
      folder: join(folder, name),
      appPort: port(),
      statusPort: port(),
      inboundPort: isCalled ? port() : null,
      outbound: calls.map((to) => ({ to, port: port() })),
    },
  ]);
  // One entry for each name of SHAPE.
  return Object.fromEntries(workloads) as Topology;
}

/** Ports that the mesh needs. */
export function portCount(): number {
  return SHAPE.reduce((sum, { isCalled, calls }) => sum + 2 + (isCalled ? 1 : 0) + calls.length, 0);
}

export function spiffeIdOf(serviceAccount: string): string {
  return `spiffe://${TRUST_DOMAIN}/ns/${NAMESPACE}/sa/${serviceAccount}`;
}

/** The port of the sidecar that `from`'s app calls to reach `to`. */
export function outboundPort(from: Workload, to: WorkloadName): number {
  const found = from.outbound.find((each) => each.to === to);
  if (found === undefined) throw new RangeError(`${from.name} does not call ${to}`);
  return found.port;
}

/** Files of a workload's folder. */
export const filesOf = ({ folder }: Workload) => ({
  config: join(folder, 'proxy.yaml'),
  certificate: join(folder, 'svid.pem'),
  key: join(folder, 'svid.key'),
  bundle: join(folder, 'bundle.pem'),
  policy: join(folder, 'policies', 'policy.yaml'),
  accessLog: join(folder, 'access.log'),
  admin: join(folder, 'admin.sock'),
});

export const NAMESPACE = 'shop';

const SHAPE = [
  { name: 'web', isCalled: false, calls: ['orders'] },
  { name: 'orders', isCalled: true, calls: ['ledger'] },
  { name: 'ledger', isCalled: true, calls: [] },
  { name: 'intruder', isCalled: false, calls: ['orders', 'ledger'] },
] as const;
