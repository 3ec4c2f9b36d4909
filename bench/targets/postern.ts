/**
 * Postern as an image has it: a fresh bundle beside `bin/`, run by `postern proxy -c FILE`. SVID and bundle from files, the rules
 * as Istio AuthorizationPolicy documents in a folder, XFCC, request id, JSON access log, metrics and status port on.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toIstioYaml, TRUST_DOMAIN } from '../policy-set.ts';
import { asPair, type Launch, type Stage, type Target } from './target.ts';

export const postern: Target = {
  name: 'postern',
  about: 'SPIFFE verification, AuthorizationPolicy compiled to WebAssembly, XFCC, request id, JSON access log, metrics on',
  jobs: ['http1', 'http2', 'grpc', 'tcp', 'pair'],
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
    const isPair = stage.job === 'pair';
    // A policy file may have 1 MiB; a document of the set has 100 rules.
    // Rules that read requests allow nothing on a port of raw TCP, as in Istio.
    const rules = stage.job === 'tcp' ? stage.rules.map((rule) => ({ ...rule, methods: [], paths: [] })) : stage.rules;
    for (let i = 0; i < rules.length; i += 1000) {
      writeFileSync(`${stage.folder}/policies/rules-${i}.yaml`, toIstioYaml(rules.slice(i, i + 1000), 'shop'));
    }
    const before = inbound(stage, isPair ? stage.peerPort : stage.port);
    const command = run(stage, 'proxy', before, accessLog, isPair ? stage.peerStatusPort : stage.statusPort);
    return {
      command: isPair
        ? asPair(run(stage, 'first', outbound(stage), `${stage.folder}/first.log`, stage.statusPort), command)
        : command,
      env: stage.nodeOptions === '' ? {} : { NODE_OPTIONS: stage.nodeOptions },
      port: stage.port,
      readyUrls: (isPair ? [stage.statusPort, stage.peerStatusPort] : [stage.statusPort]).map(
        (port) => `http://127.0.0.1:${port}/healthz/ready`,
      ),
      output: `${stage.folder}/output.log`,
      accessLog,
      policyFile: `${stage.folder}/policies/rules-0.yaml`,
    };
  },
};

/** Writes a configuration and says how to run it. The first of a pair judges nothing: the callee does. */
function run(stage: Stage, name: string, listeners: string, accessLog: string, statusPort: number): string[] {
  const { certificates } = stage;
  const holder = name === 'first' ? (certificates.callers[0] ?? certificates.server) : certificates.server;
  const file = `${stage.folder}/${name}.yaml`;
  writeFileSync(
    file,
    `apiVersion: postern.mesh/v1alpha1
kind: Proxy
metadata: { name: orders, namespace: shop, labels: { app: orders } }
spec:
  mode: standalone
  identity:
    trustDomain: ${TRUST_DOMAIN}
    files: { certificate: ${holder.certificate}, key: ${holder.key}, bundles: { ${TRUST_DOMAIN}: ${certificates.bundle} } }
${listeners}
  policies: { ${name === 'first' ? 'allowAll: true' : 'files: [policies/]'} }
  telemetry: { accessLog: { format: json, file: ${accessLog} }, status: 127.0.0.1:${statusPort}, admin: ${name}.sock }
`,
  );
  return [process.execPath, program, 'proxy', '-c', file];
}

function inbound({ job, upstreamPort }: Stage, port: number): string {
  const protocol = job === 'tcp' ? 'protocol: tcp, ' : '';
  const scheme = job === 'grpc' ? 'h2c://' : '';
  return `  inbound:
    - { listen: 127.0.0.1:${port}, mtls: STRICT, ${protocol}forwardTo: '${scheme}127.0.0.1:${upstreamPort}' }`;
}

function outbound({ certificates, port, peerPort }: Stage): string {
  return `  outbound:
    - { listen: 127.0.0.1:${port}, forwardTo: 127.0.0.1:${peerPort}, expect: [${certificates.server.spiffeId}] }`;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
let program = `${ROOT}bin/postern.js`;
