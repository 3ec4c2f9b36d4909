/** The file of one sidecar, as an operator would write it. */
import { NAMESPACE, TRUST_DOMAIN, inboundPort, spiffeIdOf } from './topology.ts';
import type { Protocol, Topology, Workload } from './topology.ts';

export function proxyFile(workload: Workload, mesh: Topology): string {
  const { name, outbound, services, statusPort } = workload;
  const inbound = services.map(({ appPort, inboundPort: port, protocol }) => {
    const app = `${protocol === 'grpc' ? 'h2c://' : ''}127.0.0.1:${appPort}`;
    return `    - { listen: 127.0.0.1:${port}, mtls: STRICT${declared(protocol)}, forwardTo: ${app} }`;
  });
  const calls = outbound.map(({ to, port, protocol }) => {
    const peer = `forwardTo: 127.0.0.1:${inboundPort(mesh[to], protocol)}, expect: [${spiffeIdOf(to)}]`;
    return `    - { listen: 127.0.0.1:${port}${declared(protocol)}, ${peer} }`;
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
    ...(inbound.length === 0 ? [] : ['  inbound:', ...inbound]),
    ...(calls.length === 0 ? [] : ['  outbound:', ...calls]),
    '  policies: { files: [policies/] }',
    '  timeouts: { drain: 1s }',
    `  telemetry: { accessLog: { format: json, file: access.log }, status: 127.0.0.1:${statusPort}, admin: admin.sock }`,
  ].join('\n')}\n`;
}

/** HTTP, in whichever version, is found out. */
function declared(protocol: Protocol): string {
  return protocol === 'tcp' ? ', protocol: tcp' : '';
}
