/**
 * Postern as an image has it: a fresh bundle beside `bin/`, run by `postern proxy -c FILE`. SVID and bundle from files, the rules
 * as Istio AuthorizationPolicy documents in a folder, XFCC, request id, JSON access log, metrics and status port on.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toIstioYaml, TRUST_DOMAIN } from '../policy-set.ts';
import type { Launch, Stage, Target } from './target.ts';

export const postern: Target = {
  name: 'postern',
  about: 'SPIFFE verification, AuthorizationPolicy compiled to WebAssembly, XFCC, request id, JSON access log, metrics on',
  hasPassingHelpers: true,
  missing: () => (existsSync(`${ROOT}proxy/main.ts`) ? null : 'this is no checkout of it'),
  version: () => `${/"version": "([^"]+)"/.exec(readFileSync(`${ROOT}package.json`, 'utf8'))?.[1]} (Node ${process.version})`,
  setUp(folder: string): void {
    cpSync(`${ROOT}bin`, `${folder}/bin`, { recursive: true });
    cpSync(`${ROOT}package.json`, `${folder}/package.json`);
    execFileSync(process.execPath, [`${ROOT}tools/bundle.ts`, '--dir', `${folder}/dist`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    program = `${folder}/bin/postern.js`;
  },
  prepare(stage: Stage): Launch {
    mkdirSync(`${stage.folder}/policies`, { recursive: true });
    const accessLog = `${stage.folder}/access.log`;
    const file = `${stage.folder}/proxy.yaml`;
    // A policy file may have 1 MiB; a document of the set has 100 rules.
    for (let i = 0; i < stage.rules.length; i += 1000) {
      writeFileSync(`${stage.folder}/policies/rules-${i}.yaml`, toIstioYaml(stage.rules.slice(i, i + 1000), 'shop'));
    }
    writeFileSync(file, configuration(stage, accessLog));
    return {
      command: [process.execPath, program, 'proxy', '-c', file],
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
let program = `${ROOT}bin/postern.js`;
