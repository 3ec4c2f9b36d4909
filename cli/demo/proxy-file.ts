/** The file of one sidecar, as an operator would write it. */
import { NAMESPACE, TRUST_DOMAIN, spiffeIdOf } from './topology.ts';
import type { Topology, Workload } from './topology.ts';

export function proxyFile(workload: Workload, mesh: Topology): string {
  const { name, appPort, inboundPort, outbound, statusPort } = workload;
  const inbound =
    inboundPort === null
      ? []
      : ['  inbound:', `    - { listen: 127.0.0.1:${inboundPort}, mtls: STRICT, forwardTo: 127.0.0.1:${appPort} }`];
  const calls = outbound.map(({ to, port }) => {
    const peer = `forwardTo: 127.0.0.1:${mesh[to].inboundPort ?? 0}, expect: [${spiffeIdOf(to)}]`;
    return `    - { listen: 127.0.0.1:${port}, ${peer} }`;
  });
  return `${[
    'apiVersion: postern.mesh/v1alpha1',
    'kind: Proxy',
    `metadata: { name: ${name}, namespace: ${NAMESPACE}, labels: { app: ${name} } }`,
    'spec:',
    '  mode: standalone',
    `  serviceAccount: ${name}`,
    '  identity:',
    `    trustDomain: ${TRUST_DOMAIN}`,
    `    files: { certificate: svid.pem, key: svid.key, bundles: { ${TRUST_DOMAIN}: bundle.pem } }`,
    ...inbound,
    ...(calls.length === 0 ? [] : ['  outbound:', ...calls]),
    '  policies: { files: [policies/] }',
    '  timeouts: { drain: 1s }',
    `  telemetry: { accessLog: { format: json, file: access.log }, status: 127.0.0.1:${statusPort}, admin: admin.sock }`,
  ].join('\n')}\n`;
}
