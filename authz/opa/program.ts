/**
 * A policy that can be asked: the form that both kinds of bundles take once they are loaded. INVARIANT: `evaluate` never throws,
 * and gives a value only when the policy gave one within its limits.
 */
import { parseJson } from './json.ts';
import type { JsonFault } from './json.ts';
import type { OpaLimits } from './limits.ts';
import { OpaAbort } from './meter.ts';
import { denied } from './outcome.ts';
import type { OpaDenied, OpaDenialCode, OpaOutcome } from './outcome.ts';
import { RegoObject } from './value.ts';
import type { RegoSet, RegoValue } from './value.ts';

export interface OpaProgram {
  readonly kind: 'wasm' | 'plan';
  /** Paths of rules with slashes, such as `envoy/authz/allow`. */
  readonly entrypoints: readonly string[];
  /**
   * @param input  JSON, or null for no input
   * @param nowNs  what the policy takes for the present
   */
  evaluate(entrypoint: string, input: string | null, nowNs: bigint): OpaOutcome;
}

export type InputReading = { readonly ok: true; readonly value: RegoValue | undefined } | OpaDenied;

/** Reads an input, or says why it is not judged. */
export function readInput(input: string | null, limits: OpaLimits): InputReading {
  if (input === null) return { ok: true, value: undefined };
  // No character has more than three bytes a unit of UTF-16; the exact length is counted only where that does not settle it.
  if (input.length > limits.inputBytes) return denied('opa_input_too_large');
  if (input.length * 3 > limits.inputBytes && Buffer.byteLength(input) > limits.inputBytes) return denied('opa_input_too_large');
  const reading = parseJson(input);
  return reading.ok ? reading : denied(INPUT_FAULTS[reading.fault]);
}

/** The one value of a result set (`{{"result": X}}`); a policy that has several answers has none. */
export function resultOf(results: RegoSet): OpaOutcome {
  if (results.size === 0) return denied('opa_undefined');
  const [first] = results.elements();
  const value = first instanceof RegoObject ? first.find('result') : undefined;
  if (results.size > 1 || value === undefined) return denied('opa_conflict', 'the policy gives several results');
  return { ok: true, value };
}

/** The denial that an exception out of an evaluation is. */
export function denialOf(error: unknown): OpaDenied {
  if (error instanceof OpaAbort) return denied(error.code, error.message);
  return denied('opa_trap', error instanceof Error ? error.message : String(error));
}

const INPUT_FAULTS: Readonly<Record<JsonFault, OpaDenialCode>> = {
  syntax: 'opa_input_invalid',
  duplicate_key: 'opa_input_invalid',
  number: 'opa_input_invalid',
  depth: 'opa_input_too_deep',
};
