/** What an evaluation came to. Every way in which it gives no plain value has its own code, and every code is a denial. */
import type { RegoValue } from './value.ts';

/** Why there is no result. */
export const OPA_DENIALS = {
  opa_input_invalid: 'the input is no JSON document that can be judged: malformed, a key twice, a number out of bounds',
  opa_input_too_deep: 'the input is nested deeper than can be judged',
  opa_input_too_large: 'the input is longer than can be judged',
  opa_undefined: 'the policy gives no result for the input',
  opa_result_type: 'the result is neither a boolean nor an object as the decision document wants it',
  opa_conflict: 'rules of the policy give the input two results',
  opa_abort: 'the policy ended itself with an error',
  opa_trap: 'the module did what no module may do',
  opa_fuel: 'the evaluation took more steps than it may',
  opa_memory: 'the evaluation needed more memory than it may',
  opa_timeout: 'the evaluation took longer than it may',
  opa_overloaded: 'too many evaluations were waiting',
  opa_unavailable: 'no policy is loaded',
} as const satisfies Record<string, string>;

export type OpaDenialCode = keyof typeof OPA_DENIALS;

export interface OpaDenied {
  readonly ok: false;
  readonly code: OpaDenialCode;
  /** For the log; it may quote the policy, never the input. */
  readonly message: string;
}

export type OpaOutcome = { readonly ok: true; readonly value: RegoValue } | OpaDenied;

export function denied(code: OpaDenialCode, message: string = OPA_DENIALS[code]): OpaDenied {
  return { ok: false, code, message };
}
