/** Denials for want of a yes: their replies, and the decisions that say why. */
import type { Decision, DecisionCode } from '#authz/engine/input.ts';
import type { Denial } from './authorizer.ts';

/** The denial of a status; the ordinary one needs nothing of its own. */
export function errorDenial(status: number): Denial | null {
  return status === 403 ? null : { status, fields: PLAIN_TEXT, body: ACCESS_DENIED };
}

/** The same decision with another code; made once, so that equal ones are counted together. */
export function withCode(decision: Decision, code: DecisionCode): Decision {
  if (decision.code === code) return decision;
  let made = DECISIONS.get(decision);
  if (made === undefined) DECISIONS.set(decision, (made = new Map<DecisionCode, Decision>()));
  let coded = made.get(code);
  if (coded === undefined) made.set(code, (coded = Object.freeze({ ...decision, code })));
  return coded;
}

const PLAIN_TEXT = 'content-type: text/plain; charset=utf-8\r\n';
const ACCESS_DENIED = Buffer.from('postern: access denied\n', 'latin1');
const DECISIONS = new WeakMap<Decision, Map<DecisionCode, Decision>>();
