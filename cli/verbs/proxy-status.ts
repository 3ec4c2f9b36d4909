/** `postern proxy-status`: what a running sidecar serves, from its admin socket. */
import { stringify } from 'yaml';
import { z } from 'zod';

import { addressText } from '#proto/config/units.ts';

import { askSidecar, findSidecar } from '../admin-client.ts';
import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { ageText, printable, table } from '../table.ts';
import type { VerbStreams } from './verb.ts';

export interface ProxyStatusOptions {
  readonly admin?: string;
  readonly config?: string;
  readonly timeoutMs: number;
  readonly output: 'table' | 'json' | 'yaml';
  /** Only whether it takes traffic. */
  readonly ready?: true;
}

export async function proxyStatus(options: ProxyStatusOptions, io: VerbStreams): Promise<ExitStatus> {
  const { admin } = findSidecar(options);
  if (admin === null) {
    throw new ExitError(
      EXIT.usage,
      'Cannot find the sidecar: found neither --admin nor a file with spec.telemetry.admin',
      'postern ps --admin SOCKET',
    );
  }
  if (options.ready === true) {
    const { reason } = readySchema.parse(await askSidecar(admin, '/ready', options.timeoutMs));
    io.stdout.write(reason === null ? 'ready\n' : `not ready: ${printable(reason)}\n`);
    return reason === null ? EXIT.ok : EXIT.other;
  }
  const [config, policy, identity, connections] = await Promise.all(
    ['/config', '/policy', '/identity', '/connections'].map((path) => askSidecar(admin, path, options.timeoutMs)),
  );
  const answer = { config, policy, identity, connections };
  if (options.output === 'json') io.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
  else if (options.output === 'yaml') io.stdout.write(stringify(answer));
  else io.stdout.write(statusText(statusSchema.parse(answer), Date.now()));
  return EXIT.ok;
}

/** The status as tables. */
export function statusText({ config, policy, identity, connections }: Status, nowMs: number): string {
  const since = (at: string): string => ageText(nowMs - Date.parse(at));
  const expires = identity.notAfter === undefined ? '' : `, expires in ${ageText(Date.parse(identity.notAfter) - nowMs)}`;
  const lines = [
    ['WORKLOAD', `${config.namespace}/${config.name}`],
    ['IDENTITY', identity.spiffeId === null ? 'none' : `${identity.spiffeId}${expires}`],
    [
      'POLICY',
      `${policy.state}, ${policy.selected} of ${policy.documents} policies select it, loaded ${since(policy.loadedAt)} ago`,
    ],
    ['REVISION', policy.revision],
  ];
  if (policy.bundle) {
    const { keyId, revision } = policy.bundle;
    const ends = policy.expires === undefined ? '' : `, ${endText(Date.parse(policy.expires) - nowMs)}`;
    lines.push(['BUNDLE', `revision ${revision}${ends}, signed by ${keyId.slice(0, 16)}`]);
  }
  if (policy.isKeptCopy === true) lines.push(['SOURCE', 'the last good copy on disk']);
  for (const { worker, pid, revision } of policy.workers ?? [])
    lines.push(['WORKER', `${worker}, pid ${pid}${revision === policy.revision ? '' : `, revision ${revision ?? 'unknown'}`}`]);
  if (typeof identity.fault === 'string') lines.push(['REFUSED', `new identity: ${identity.fault}`]);
  for (const { file, line, column, message } of policy.faults)
    lines.push(['REFUSED', `new policies: ${file}:${line}:${column}: ${message}`]);

  const listeners = [
    ...config.inbound.map(({ listen, mtls, forwardTo }) => ['inbound', addressText(listen), mtls, addressText(forwardTo), null]),
    ...config.outbound.map(({ listen, forwardTo, expect }) => [
      'outbound',
      addressText(listen),
      null,
      addressText(forwardTo),
      expect.join(' '),
    ]),
  ];
  const open = connections.map(({ id, listener, peer, principal, requests, openedAt, isIdle }) => {
    return [id, listener, peer, principal, requests, since(openedAt), isIdle ? 'idle' : 'busy'];
  });
  return [
    ...lines.map(([name, value]) => `${(name ?? '').padEnd(10)}${printable(value ?? '')}\n`),
    `\n${table(['DIRECTION', 'LISTEN', 'MTLS', 'FORWARD TO', 'EXPECT'], listeners)}`,
    `\n${open.length === 0 ? 'No open connections\n' : table(['ID', 'LISTENER', 'PEER', 'PRINCIPAL', 'REQUESTS', 'AGE', 'STATE'], open)}`,
  ].join('');
}

function endText(leftMs: number): string {
  return leftMs <= 0 ? `expired ${ageText(-leftMs)} ago` : `expires in ${ageText(leftMs)}`;
}

const address = z.object({ host: z.string(), port: z.number() });
const listen = z.union([address, z.object({ socket: z.string() })]);

const readySchema = z.object({ reason: z.string().nullable() });

/** The part of the admin answers that is shown; others may have more. */
const statusSchema = z.object({
  config: z.object({
    name: z.string(),
    namespace: z.string(),
    inbound: z.array(z.object({ listen, mtls: z.string(), forwardTo: address })),
    outbound: z.array(z.object({ listen, forwardTo: address, expect: z.array(z.string()) })),
  }),
  policy: z.object({
    revision: z.string(),
    state: z.string(),
    documents: z.number(),
    selected: z.number(),
    loadedAt: z.string(),
    expires: z.string().optional(),
    isKeptCopy: z.boolean().optional(),
    bundle: z.object({ revision: z.number(), keyId: z.string() }).nullish(),
    faults: z.array(z.object({ file: z.string(), line: z.number(), column: z.number(), message: z.string() })),
    workers: z.array(z.object({ worker: z.number(), pid: z.number(), revision: z.string().optional() })).optional(),
  }),
  identity: z.object({ spiffeId: z.string().nullable(), notAfter: z.string().optional(), fault: z.string().nullish() }),
  connections: z.array(
    z.object({
      id: z.union([z.string(), z.number()]),
      listener: z.string(),
      peer: z.string(),
      principal: z.string().nullable(),
      openedAt: z.string(),
      requests: z.number(),
      isIdle: z.boolean(),
    }),
  ),
});

export type Status = z.output<typeof statusSchema>;
