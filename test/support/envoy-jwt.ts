/**
 * A real Envoy that proves users' tokens before an app as Istio has it do: jwt_authn with what istiod makes of RequestAuthentication rules
 * (each rule a provider; any of them passes, or all pass or are silent). In the clear.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from './free-port.ts';
import { requirePeer } from './peers.ts';
import { startProcess, type TestProcess } from './processes.ts';

/** A rule in the words of Istio. */
export interface EnvoyJwtRule {
  readonly issuer: string;
  readonly jwks: string;
  readonly audiences?: readonly string[];
  readonly fromHeaders?: readonly { readonly name: string; readonly prefix?: string }[];
  readonly fromParams?: readonly string[];
  readonly fromCookies?: readonly string[];
  readonly forwardOriginalToken?: boolean;
  readonly outputPayloadToHeader?: string;
  readonly outputClaimToHeaders?: readonly { readonly header: string; readonly claim: string }[];
}

export class EnvoyJwt implements AsyncDisposable {
  readonly port: number;
  readonly #process: TestProcess;
  readonly #folder: string;

  constructor(port: number, process: TestProcess, folder: string) {
    this.port = port;
    this.#process = process;
    this.#folder = folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export async function startEnvoyJwt(rules: readonly EnvoyJwtRule[], appPort: number): Promise<EnvoyJwt> {
  const folder = mkdtempSync(join(tmpdir(), 'envoy-jwt-'));
  const port = await freePort();
  const file = join(folder, 'envoy.json');
  writeFileSync(file, JSON.stringify(bootstrap(rules, port, appPort)));
  const process = startProcess(requirePeer('envoy'), ['-c', file, '--concurrency', '1', '--use-dynamic-base-id', '-l', 'warn']);
  await process.waitForPort(port, 20_000);
  return new EnvoyJwt(port, process, folder);
}

function bootstrap(rules: readonly EnvoyJwtRule[], port: number, appPort: number): object {
  const manager = {
    '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'local',
    http_filters: [
      { name: 'envoy.filters.http.jwt_authn', typed_config: filter(rules) },
      { name: 'envoy.filters.http.router', typed_config: { '@type': type('filters.http.router.v3.Router') } },
    ],
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }] }],
    },
  };
  const app = {
    name: 'app',
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: { cluster_name: 'app', endpoints: [{ lb_endpoints: [{ endpoint: { address: address(appPort) } }] }] },
  };
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }];
  return { static_resources: { listeners: [{ address: address(port), filter_chains: [{ filters }] }], clusters: [app] } };
}

function filter(rules: readonly EnvoyJwtRule[]): object {
  const names = rules.map((_, index) => `origins-${index}`);
  const each = names.map((name) => ({ requires_any: { requirements: [{ provider_name: name }, { allow_missing: {} }] } }));
  const all = { requires_all: { requirements: each } };
  const any = { requires_any: { requirements: [...names.map((name) => ({ provider_name: name })), all] } };
  return {
    '@type': type('filters.http.jwt_authn.v3.JwtAuthentication'),
    bypass_cors_preflight: true,
    providers: Object.fromEntries(rules.map((rule, index) => [`origins-${index}`, provider(rule)])),
    rules: [{ match: { prefix: '/' }, requires: names.length === 1 ? each[0] : any }],
  };
}

function provider(rule: EnvoyJwtRule): object {
  return {
    issuer: rule.issuer,
    audiences: rule.audiences ?? [],
    local_jwks: { inline_string: rule.jwks },
    from_headers: (rule.fromHeaders ?? []).map(({ name, prefix = '' }) => ({ name, value_prefix: prefix })),
    from_params: rule.fromParams ?? [],
    from_cookies: rule.fromCookies ?? [],
    forward: rule.forwardOriginalToken ?? false,
    forward_payload_header: rule.outputPayloadToHeader ?? '',
    claim_to_headers: (rule.outputClaimToHeaders ?? []).map(({ claim, header }) => ({
      header_name: header,
      claim_name: claim,
    })),
  };
}

function address(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

function type(name: string): string {
  return `type.googleapis.com/envoy.extensions.${name}`;
}
