/** The OPA module, loaded by the unmodified SDK of OPA and asked with opa-envoy-plugin's input document. */
import { createRequire } from 'node:module';

import type { AuthzInput, Decision } from '#authz/engine/input.ts';
import { compileForOpa } from '#authz/plan/compile-shell.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';
import { claimsOf } from '#test/support/token-claims.ts';

import { asText, decisionFrom, isCanonical } from './shell-input.ts';

export function loadOpaShell(
  set: WorkloadPolicies,
  whenNoneSelects: 'allow' | 'deny',
  headerNames: readonly string[],
): (input: AuthzInput) => Decision {
  const policy = SDK.loadPolicySync(compileForOpa(set, { whenNoneSelects }));
  return (input) => readResult(policy.evaluate(opaInput(input, headerNames)));
}

/** Headers are an object there, so that each has one value; texts are UTF-8. */
export function canAskOpa(input: AuthzInput, headerNames: readonly string[]): boolean {
  const { request } = input;
  if (!isCanonical(input)) return false;
  if (request === null) return true;
  const texts = headerNames.map((name) => request.fields.values(name));
  return (
    [request.path, request.query ?? '', request.method, ...texts.flat()].every((text) => asText(text) !== null) &&
    texts.every(({ length }) => length < 2)
  );
}

export function opaInput({ connection, request }: AuthzInput, headerNames: readonly string[]): object {
  const { destinationIp, destinationPort, principal, sni, sourceIp } = connection;
  const address = (ip: string, port?: number): object => ({
    address: { socketAddress: { ...(ip === '' ? {} : { address: ip }), ...(port === undefined ? {} : { portValue: port }) } },
  });
  const http =
    request === null
      ? {}
      : {
          request: {
            http: {
              method: asText(request.method),
              host: request.authority,
              path: `${asText(request.path)}?${asText(request.query ?? '')}`,
              headers: Object.fromEntries(
                headerNames.flatMap((name) => request.fields.values(name).map((value) => [name, asText(value)])),
              ),
            },
          },
        };
  const [token] = request?.tokens ?? [];
  const metadata =
    token === undefined
      ? {}
      : { metadataContext: { filterMetadata: { 'envoy.filters.http.jwt_authn': { payload: claimsOf(token) } } } };
  return {
    version: { ext_authz: 'v3', encoding: 'protojson' },
    attributes: {
      source: { ...address(sourceIp, 1234), ...(principal === null ? {} : { principal }) },
      destination: address(destinationIp, destinationPort),
      ...(sni === null ? {} : { tlsSession: { sni } }),
      ...http,
      ...metadata,
    },
    parsed_path: ['a', { attributes: 1 }],
  };
}

function readResult(results: unknown): Decision {
  // The form that authz/wasm/shells/opa.ts writes.
  const [first] = results as readonly {
    result: {
      allowed: boolean;
      http_status?: number;
      dynamic_metadata: { code: string; policy: string | null; rule: string | null };
    };
  }[];
  if (first === undefined) throw new Error('OPA found no result');
  const { allowed, dynamic_metadata: metadata } = first.result;
  return decisionFrom(allowed, metadata.code, metadata.policy, metadata.rule);
}

/** The package's types know only its asynchronous loader. */
const SDK = createRequire(import.meta.url)('@open-policy-agent/opa-wasm') as {
  loadPolicySync(wasm: Uint8Array): { evaluate(input: object): unknown };
};
