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
  /** What others call it by; empty when nobody is to call this workload. */
  readonly services: readonly Service[];
  readonly outbound: readonly Outbound[];
}

export type Protocol = 'http' | 'grpc' | 'tcp';

/** One port of an app, and the mTLS port of the sidecar before it. */
export interface Service {
  readonly protocol: Protocol;
  /** The program that listens there, by its file in apps/. */
  readonly program: string;
  readonly appPort: number;
  readonly inboundPort: number;
}

/** Where an app reaches a peer: a plaintext port of its own sidecar. */
export interface Outbound {
  readonly to: WorkloadName;
  readonly protocol: Protocol;
  readonly port: number;
}

export type WorkloadName = (typeof SHAPE)[number]['name'];
export type Topology = Readonly<Record<WorkloadName, Workload>>;

/** Lays the mesh out on `portCount()` free ports. */
export function layOut(folder: string, ports: readonly number[]): Topology {
  let next = 0;
  const port = (): number => ports[next++] ?? 0;
  const workloads = SHAPE.map(({ name, services, calls }): readonly [WorkloadName, Workload] => {
    const appPort = port();
    return [
      name,
      {
        name,
        spiffeId: spiffeIdOf(name),
        folder: join(folder, name),
        appPort,
        statusPort: port(),
        services: services.map((protocol) => ({
          protocol,
          program: protocol === 'grpc' ? `${name}-grpc` : name,
          appPort: protocol === 'grpc' ? port() : appPort,
          inboundPort: port(),
        })),
        outbound: calls.map(([to, protocol]) => ({ to, protocol, port: port() })),
      },
    ];
  });
  // One entry for each name of SHAPE.
  return Object.fromEntries(workloads) as Topology;
}

/** Ports that the mesh needs. */
export function portCount(): number {
  return SHAPE.reduce((sum, { services, calls }) => sum + 2 + 2 * services.length + calls.length, 0);
}

export function spiffeIdOf(serviceAccount: string): string {
  return `spiffe://${TRUST_DOMAIN}/ns/${NAMESPACE}/sa/${serviceAccount}`;
}

/** The port of the sidecar that `from`'s app calls to reach `to`. */
export function outboundPort(from: Workload, to: WorkloadName, protocol: Protocol = 'http'): number {
  const found = from.outbound.find((each) => each.to === to && each.protocol === protocol);
  if (found === undefined) throw new RangeError(`${from.name} does not call ${to}`);
  return found.port;
}

/** The mTLS port of a workload's sidecar. */
export function inboundPort({ name, services }: Workload, protocol: Protocol = 'http'): number {
  const found = services.find((each) => each.protocol === protocol);
  if (found === undefined) throw new RangeError(`${name} is not called by ${protocol}`);
  return found.inboundPort;
}

/** The programs of a workload's app. */
export function programsOf({
  appPort,
  name,
  services,
}: Workload): readonly { readonly program: string; readonly port: number }[] {
  const twins = services.filter(({ program }) => program !== name).map((twin) => ({ program: twin.program, port: twin.appPort }));
  return [{ program: name, port: appPort }, ...twins];
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
  {
    name: 'web',
    services: [],
    calls: [
      ['orders', 'http'],
      ['orders', 'grpc'],
    ],
  },
  { name: 'orders', services: ['http', 'grpc'], calls: [['ledger', 'tcp']] },
  { name: 'ledger', services: ['tcp'], calls: [] },
  {
    name: 'intruder',
    services: [],
    calls: [
      ['orders', 'http'],
      ['ledger', 'tcp'],
    ],
  },
] as const;
