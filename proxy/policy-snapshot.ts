/** From a preparer's answer to the policy in force. Whatever is not a good policy denies everything. */
import { allowAll, denyAll } from '#authz/engine/decisions.ts';
import { loadEngine } from '#authz/engine/load.ts';
import type { PrepareAnswer } from '#proto/prepare.ts';
import type { PolicySnapshot } from './snapshot.ts';

/** What is in force before any answer came. */
export function noPolicy(loadedMs: number): PolicySnapshot {
  return { engine: denyAll('policy_missing'), state: 'missing', documents: 0, selected: 0, loadedMs, model: null };
}

/** @throws {PosternError} when the module does not load */
export function policySnapshot(answer: PrepareAnswer, whenNoneSelects: 'allow' | 'deny', loadedMs: number): PolicySnapshot {
  const { policy, policyState } = answer;
  if (policyState === 'allow_all') {
    return { engine: allowAll(), state: 'allow_all', documents: 0, selected: 0, loadedMs, model: null };
  }
  if (policyState !== 'ok' || policy === null) {
    const code = policyState === 'missing' ? 'policy_missing' : 'policy_invalid';
    return {
      engine: denyAll(code),
      state: policyState === 'ok' ? 'invalid' : policyState,
      documents: 0,
      selected: 0,
      loadedMs,
      model: null,
    };
  }
  return {
    engine: loadEngine(policy, { whenNoneSelects }),
    state: 'ok',
    documents: policy.documents,
    selected: policy.selected,
    loadedMs,
    model: policy.model,
  };
}
