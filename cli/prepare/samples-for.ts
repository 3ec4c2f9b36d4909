/** How many requests a policy is tried with before it is put in force. */

/** The interpreter looks at every rule: fewer samples of a larger set, so that a change is in force within half a second. */
export function samplesFor(rules: number): number {
  return Math.max(LEAST_SAMPLES, Math.min(MOST_SAMPLES, Math.floor(RULES_TO_JUDGE / Math.max(1, rules))));
}

/** Some 2.5 us each, cold. */
const RULES_TO_JUDGE = 30_000;
const LEAST_SAMPLES = 8;
const MOST_SAMPLES = 200;
