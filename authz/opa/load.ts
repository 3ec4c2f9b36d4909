/** From a bundle to a program that can be asked. */
import { PosternError } from '#base/error.ts';

import type { Bundle } from './bundle/bundle.ts';
import { toJson } from './json.ts';
import type { OpaLimits } from './limits.ts';
import type { OpaPolicy } from './messages.ts';
import { loadPlanProgram } from './plan/program.ts';
import type { OpaProgram } from './program.ts';
import { loadWasmProgram } from './wasm/program.ts';

/** @throws {PosternError} when the policy cannot be loaded within the limits */
export function loadProgram({ data, policy }: Pick<Bundle, 'data' | 'policy'>, limits: OpaLimits): OpaProgram {
  return policy.kind === 'wasm' ? loadWasmProgram(policy.bytes, data, limits) : loadPlanProgram(policy.bytes, data, limits);
}

/** What an evaluator is started with. */
export function policyOf({ data, policy }: Bundle): OpaPolicy {
  return { kind: policy.kind, bytes: policy.bytes, data: toJson(data) };
}

/**
 * The rule that decides: the one asked for, else opa-envoy-plugin's default, else the only one.
 *
 * @throws {PosternError} `opa_entrypoint`
 */
export function chooseEntrypoint(program: OpaProgram, wanted: string | null): string {
  const { entrypoints } = program;
  const [first, ...others] = entrypoints;
  const name = wanted?.replace(/^(?:\/|data\.)/u, '').replaceAll('.', '/') ?? null;
  const found = name === null ? (entrypoints.includes(DEFAULT_ENTRYPOINT) ? DEFAULT_ENTRYPOINT : first) : name;
  if (
    found !== undefined &&
    entrypoints.includes(found) &&
    (name !== null || others.length === 0 || found === DEFAULT_ENTRYPOINT)
  ) {
    return found;
  }
  const known = entrypoints.join(', ');
  throw new PosternError(
    'opa_entrypoint',
    name === null
      ? `Cannot choose an entry point: found ${entrypoints.length} (${known})`
      : `Cannot ask for "${name}": found the entry points ${known}`,
    'name one of them, or build the bundle with -e',
  );
}

const DEFAULT_ENTRYPOINT = 'envoy/authz/allow';
