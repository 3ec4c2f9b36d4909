/** Policies for hosts other than Postern: the same plan in the shape that they load. */
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import { buildOpaModule } from '../wasm/shells/opa.ts';
import { buildProxyWasmModule } from '../wasm/shells/proxy-wasm.ts';
import { revisionOf } from './compile.ts';
import { planPolicies } from './plan.ts';

export interface ShellOptions {
  /** What is decided when no enforcing policy selects the workload. */
  readonly whenNoneSelects: 'allow' | 'deny';
}

/**
 * A module of OPA's ABI 1.3 that reads opa-envoy-plugin's input document.
 *
 * @throws {PosternError} `policy_not_expressible` when the policies read what that document does not say
 */
export function compileForOpa(set: WorkloadPolicies, { whenNoneSelects }: ShellOptions): Uint8Array {
  const options = { revision: revisionOf(set), whenNoneSelects, entrypoint: OPA_ENTRYPOINT, tokenPath: OPA_TOKEN_PATH };
  return buildOpaModule(planPolicies(set), set, options);
}

/**
 * A module of proxy-wasm 0.2.1, for Envoy and others.
 *
 * @throws {PosternError} `policy_not_expressible` when the policies read what that interface does not give
 */
export function compileForProxyWasm(set: WorkloadPolicies, { whenNoneSelects }: ShellOptions): Uint8Array {
  return buildProxyWasmModule(planPolicies(set), set, { whenNoneSelects, tokenPath: ENVOY_TOKEN_PATH });
}

/** The path that opa-envoy-plugin asks for unless told otherwise. */
const OPA_ENTRYPOINT = 'envoy/authz/allow';
/** Where Envoy's jwt_authn filter puts a token's claims when its `payload_in_metadata` is `payload`. */
const ENVOY_TOKEN_PATH = ['envoy.filters.http.jwt_authn', 'payload'];
const OPA_TOKEN_PATH = ['attributes', 'metadataContext', 'filterMetadata', ...ENVOY_TOKEN_PATH];
