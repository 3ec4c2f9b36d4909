/** Judges a recorded decision again, from the model that the sidecar kept beside it, and says why it came out so. */
import { explain, readModel } from '#authz/engine/explain.ts';
import type { Explanation } from '#authz/engine/explain.ts';

import type { RecordedDecision } from './recorded-decision.ts';

/** Null when the sidecar kept no model, or when judging it again gives another verdict, so that the reason would be another. */
export function explainRecorded({ decision, input, model }: RecordedDecision): Explanation | null {
  if (model === null) return null;
  const { connection, request } = input;
  const fields = {
    values: (name: string) => (request?.headers ?? []).filter(([sent]) => sent === name).map(([, value]) => value),
  };
  const set = readModel(Buffer.from(model, 'base64'));
  const isForProvider = PROVIDER_CODE.test(decision.code);
  // What was decided behind the authorizers was decided after they had let the request in.
  const names = isForProvider ? [] : set.policies.flatMap(({ provider }) => provider ?? []);
  const again = explain(
    set,
    {
      connection,
      request: request === null ? null : { ...request, fields },
      providers: Object.fromEntries(names.map((name) => [name, 'allow'])),
    },
    // Which of the two the sidecar was told is seen by what it answered.
    decision.code === 'allowed_no_policy' ? 'allow' : 'deny',
  );
  if (again.effect !== decision.effect) return null;
  if (isForProvider) return again.code === 'provider_unavailable' ? { ...again, code: decision.code } : null;
  return again.code === decision.code ? again : null;
}

/** Codes of denials that an authorizer, or the want of one, is the reason of. */
const PROVIDER_CODE = /^(?:denied_by_provider$|provider_|opa_)/u;
