/**
 * Postern as `postern proxy -c FILE` runs it: SVID and bundle from files, the rules as Istio AuthorizationPolicy documents in a
 * folder, XFCC, request id, JSON access log, metrics and status port on. From the bundle when it has been built, else from source.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toIstioYaml, TRUST_DOMAIN } from '../policy-set.ts';
import type { Launch, Stage, Target } from './target.ts';

export const postern: Target = {
  name: 'postern',
  about: 'SPIFFE verification, AuthorizationPolicy compiled to WebAssembly, XFCC, request id, JSON access log, metrics on',
  missing: () => (existsSync(PROGRAM) ? null : 'bin/postern.js is not there'),
  version: () =>
    `${/"version": "([^"]+)"/.exec(readFileSync(`${ROOT}package.json`, 'utf8'))?.[1]} (${existsSync(BUNDLE) ? 'bundle' : 'source'}, Node ${process.version})`,
  prepare(stage: Stage): Launch {
    mkdirSync(`${stage.folder}/policies`, { recursive: true });
    const accessLog = `${stage.folder}/access.log`;
    const file = `${stage.folder}/proxy.yaml`;
    writeFileSync(`${stage.folder}/policies/rules.yaml`, toIstioYaml(stage.rules, 'shop'));
    writeFileSync(file, configuration(stage, accessLog));
    return {
      command: [process.execPath, PROGRAM, 'proxy', '-c', file],
      env: stage.nodeOptions === '' ? {} : { NODE_OPTIONS: stage.nodeOptions },
      port: stage.port,
      readyUrl: `http://127.0.0.1:${stage.statusPort}/healthz/ready`,
      output: `${stage.folder}/output.log`,
      accessLog,
    };
  },
};

function configuration({ certificates, ...stage }: Stage, accessLog: string): string {
  return `apiVersion: postern.mesh/v1alpha1
kind: Proxy
metadata: { name: orders, namespace: shop, labels: { app: orders } }
spec:
  mode: standalone
  identity:
    trustDomain: ${TRUST_DOMAIN}
    files: { certificate: ${certificates.server.certificate}, key: ${certificates.server.key}, bundles: { ${TRUST_DOMAIN}: ${certificates.bundle} } }
  inbound:
    - { listen: 127.0.0.1:${stage.port}, mtls: STRICT, forwardTo: 127.0.0.1:${stage.upstreamPort} }
  policies: { files: [policies/] }
  telemetry: { accessLog: { format: json, file: ${accessLog} }, status: 127.0.0.1:${stage.statusPort}, admin: admin.sock }
`;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PROGRAM = `${ROOT}bin/postern.js`;
const BUNDLE = `${ROOT}dist/proxy.js`;
