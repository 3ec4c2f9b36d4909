/** From a preparer's answer to the policy in force. Whatever is not a good policy denies everything. */
import { allowAll, denyAll } from '#authz/engine/decisions.ts';
import type { Engine } from '#authz/engine/engine.ts';
import { loadEngine } from '#authz/engine/load.ts';
import type { CompiledPolicy } from '#authz/plan/compiled.ts';
import type { PolicyState, PrepareAnswer } from '#proto/prepare.ts';
import type { TokenAuthenticator } from './authn/tokens/token-authenticator.ts';
import type { PolicySnapshot } from './snapshot.ts';

/** What is in force before any answer came. */
export function noPolicy(loadedMs: number): PolicySnapshot {
  return constant(denyAll('policy_missing'), 'missing', loadedMs);
}

/** What is in force when a policy has outlived its time. */
export function expiredPolicy(
  former: Pick<PolicySnapshot, 'bundle' | 'isKeptCopy' | 'expiresMs'>,
  loadedMs: number,
): PolicySnapshot {
  const { bundle, expiresMs, isKeptCopy } = former;
  return { ...constant(denyAll('policy_expired'), 'expired', loadedMs), bundle, expiresMs, isKeptCopy };
}

export interface SnapshotOptions {
  readonly whenNoneSelects: 'allow' | 'deny';
  readonly loadedMs: number;
  /** Makes what proves the tokens that such rules are about. */
  readonly usersOf: (policy: CompiledPolicy) => TokenAuthenticator | null;
}

/** @throws {PosternError} when the module does not load */
export function policySnapshot(answer: PrepareAnswer, { loadedMs, usersOf, whenNoneSelects }: SnapshotOptions): PolicySnapshot {
  const { bundle, isKeptCopy, policy, policyExpiresMs, policyState } = answer;
  if (policyState === 'allow_all') return constant(allowAll(), 'allow_all', loadedMs);
  if (policyState !== 'ok' || policy === null) return constant(denyAll(codeOf(policyState)), badState(policyState), loadedMs);
  const times = { bundle, isKeptCopy, expiresMs: policyExpiresMs };
  // A process that was started late may be told of a policy that has expired meanwhile.
  if (policyExpiresMs !== null && policyExpiresMs <= loadedMs) return expiredPolicy(times, loadedMs);
  const { documents, model, selected } = policy;
  const engine = loadEngine(policy, { whenNoneSelects });
  return { engine, users: usersOf(policy), state: 'ok', documents, selected, loadedMs, model, ...times };
}

function constant(engine: Engine, state: PolicyState, loadedMs: number): PolicySnapshot {
  const none = { users: null, documents: 0, selected: 0, model: null, bundle: null, isKeptCopy: false, expiresMs: null };
  return { engine, state, loadedMs, ...none };
}

function codeOf(state: PolicyState): 'policy_missing' | 'policy_expired' | 'policy_invalid' {
  return state === 'missing' ? 'policy_missing' : state === 'expired' ? 'policy_expired' : 'policy_invalid';
}

function badState(state: PolicyState): PolicyState {
  return state === 'ok' ? 'invalid' : state;
}
