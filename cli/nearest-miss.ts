/** Which rule came nearest to deciding otherwise, and what it wanted: from the model that a sidecar keeps beside a decision. */
import type { RecordedDecision } from './recorded-decision.ts';

export interface NearestMiss {
  /** `shop/orders#write: …`. */
  readonly text: string;
}

/** Null when the sidecar kept no model. */
export function nearestMiss(recorded: RecordedDecision): NearestMiss | null {
  if (recorded.model === null) return null;
  return null;
}
