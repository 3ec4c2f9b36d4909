/** A clause as it is planned: its answer, and what a request must be for it, in classes of values. */
import type { Alternative } from './dimensions.ts';

/** A group as classes: any alternative holds, or none where it is negated. */
export interface Check {
  readonly slot: number;
  readonly alternatives: readonly Alternative[];
  readonly isNegated: boolean;
}

export interface PlannedClause {
  readonly answer: number;
  /** What remains to be checked of a clause that was found in a list. */
  readonly checks: readonly Check[];
}
