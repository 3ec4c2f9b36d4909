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
  const again = explain(
    readModel(Buffer.from(model, 'base64')),
    { connection, request: request === null ? null : { ...request, fields } },
    // Which of the two the sidecar was told is seen by what it answered.
    decision.code === 'allowed_no_policy' ? 'allow' : 'deny',
  );
  return again.effect === decision.effect && again.code === decision.code ? again : null;
}
